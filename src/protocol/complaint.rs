//! The words of errors in shapes that belong to no protocol: those of web frameworks, proxies and
//! API gateways before the provider, as JSON or as markup.

use crate::json::{self, Members};
use crate::protocol::fault::{cut, first_object, http_status, words};

/// What somebody said, and the code they gave it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    pub message: String,
    pub code: Option<String>,
}

/// How deep an error may stand in another.
const DEEPEST: usize = 4;
/// More complaints of one body than anybody reads.
const MOST: usize = 5;

/// Reads a body of any kind.
pub fn of_body(text: &str) -> Said {
    match json::members(first_object(text)) {
        Ok(members) => of_object(&members, DEEPEST),
        Err(_) if text.starts_with('<') => of_markup(text),
        // What is neither stands in `raw` as it came.
        Err(_) => Said::default(),
    }
}

fn said(message: &str) -> Said {
    Said { message: message.to_owned(), code: None }
}

fn of_object(error: &Members<'_>, depth: usize) -> Said {
    let mut found = Said { message: message_of(error, depth), code: code_of(error) };
    if found.message.is_empty() {
        let inner = inner(error).map(|value| of_value(value, depth)).unwrap_or_default();
        found = Said { message: inner.message, code: inner.code.or(found.code) };
    }
    // What is left of an error that gives nothing but its name.
    if found.message.is_empty() {
        found.message = found.code.clone().unwrap_or_default();
    }
    found
}

/// The words that an object has for itself.
fn message_of(error: &Members<'_>, depth: usize) -> String {
    // OAuth: `{"error":"invalid_grant","error_description":…}`.
    let names = ["message", "Message", "errorMessage", "error_message", "error_description"];
    let own = names.into_iter().chain(["faultstring", "msg"]).find_map(|name| error.value(name));
    if let Some(own) = own {
        return of_value(own, depth).message;
    }
    let detail = error.value("detail").map(|detail| of_value(detail, depth).message);
    let detail = detail.filter(|detail| !detail.is_empty());
    // RFC 9457: `{"type":…,"title":…,"status":…,"detail":…}`.
    let title = error.string("title").filter(|title| !title.is_empty());
    match (title, detail) {
        (Some(title), Some(detail)) => cut(&format!("{title}: {detail}")).to_owned(),
        (Some(title), None) => cut(&title).to_owned(),
        (None, detail) => detail.unwrap_or_default(),
    }
}

fn code_of(error: &Members<'_>) -> Option<String> {
    let names = ["code", "Code", "errorcode", "errorCode", "error_code", "__type", "type"];
    let code = names.into_iter().filter_map(|name| error.value(name)).map(words);
    // The address of a page about the error is none of its names.
    let code = code.into_iter().find(|code| http_status(code).is_none() && !code.contains("://"));
    let named = || error.string("error").filter(|_| error.value("error_description").is_some());
    code.filter(|code| code != "about:blank").or_else(|| named().map(|name| cut(&name).to_owned()))
}

/// Where the error is that an object wraps: `{"error":…}`, Cloudflare's and JSON:API's
/// `{"errors":[…]}`, Apigee's `{"fault":{"faultstring":…,"detail":{"errorcode":…}}}`.
fn inner<'a>(error: &Members<'a>) -> Option<&'a str> {
    ["error", "Error", "errors", "fault", "detail"].into_iter().find_map(|name| error.value(name))
}

fn of_value(value: &str, depth: usize) -> Said {
    if let Some(text) = json::string(value) {
        return said(cut(&text));
    }
    let Some(depth) = depth.checked_sub(1) else { return Said::default() };
    if let Ok(object) = json::members(value) {
        return match complaint(&object) {
            Some(complaint) => said(&complaint),
            None => of_object(&object, depth),
        };
    }
    let all = json::elements(value).unwrap_or_default();
    let all: Vec<Said> = all.into_iter().take(MOST).map(|value| of_value(value, depth)).collect();
    let messages: Vec<&str> =
        all.iter().map(|said| said.message.as_str()).filter(|message| !message.is_empty()).collect();
    let code = all.iter().find_map(|said| said.code.clone());
    Said { message: cut(&messages.join("; ")).to_owned(), code }
}

/// FastAPI's `{"loc":["body","model"],"msg":"Field required","type":"missing"}`.
fn complaint(object: &Members<'_>) -> Option<String> {
    let path = object.array("loc")?;
    let path: Vec<String> = path.into_iter().map(words).collect();
    Some(cut(&format!("{}: {}", path.join("."), object.string("msg")?)).to_owned())
}

/// The element of a page or of an XML document that says what is wrong.
fn of_markup(text: &str) -> Said {
    let element = |name: &str| element(text, name).filter(|words| !words.is_empty());
    let names = ["Message", "message", "faultstring", "title", "TITLE", "h1", "H1"];
    let message = names.into_iter().find_map(element).unwrap_or_default();
    Said { message, code: ["Code", "code", "faultcode"].into_iter().find_map(element) }
}

fn element(text: &str, name: &str) -> Option<String> {
    let from = text.match_indices(&format!("<{name}")).find_map(|(at, opening)| {
        let rest = &text[at + opening.len()..];
        rest.starts_with(['>', ' ', '\t', '\n', '\r']).then(|| rest.split_once('>')).flatten()
    });
    let inner = from?.1.split("</").next()?;
    Some(plain(inner))
}

/// A text for people: markup without its tags, scripts and styles; anything else as it is.
pub fn readable(text: &str) -> String {
    if !text.trim_start().starts_with('<') {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut rest = text;
    while let Some((before, tag)) = rest.split_once('<') {
        kept.push_str(before);
        kept.push(' ');
        let hidden = ["script", "style"]
            .into_iter()
            .find(|name| tag.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name)));
        let tag = match hidden {
            Some(name) => skip_element(tag, name),
            None => tag,
        };
        rest = tag.split_once('>').map_or("", |(_, rest)| rest);
    }
    kept.push_str(rest);
    plain(&kept)
}

/// What follows the closing tag of an element whose content is not for people.
fn skip_element<'a>(tag: &'a str, name: &str) -> &'a str {
    let closing = tag.match_indices("</").find(|(at, _)| {
        tag.get(at + 2..at + 2 + name.len()).is_some_and(|end| end.eq_ignore_ascii_case(name))
    });
    closing.map_or("", |(at, _)| &tag[at..])
}

/// Words with single blanks between them.
fn plain(text: &str) -> String {
    const MARKS: [(&str, &str); 6] =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&nbsp;", " "), ("&amp;", "&")];
    let text = text.replace("<![CDATA[", "").replace("]]>", "");
    let text = MARKS.iter().fold(text, |text, (mark, letter)| text.replace(mark, letter));
    let words: Vec<&str> = text.split_whitespace().collect();
    cut(&words.join(" ")).to_owned()
}
