//! The list of models as a feed. Form: rssboard.org/rss-specification.

use super::Listed;
use crate::time::Time;

/// Writes the feed, newest first. `origin` is the gateway's own, without a slash at its end.
pub(super) fn write(rows: &[Listed], links_to_chat: bool, origin: &str) -> String {
    let mut rows: Vec<&Listed> = rows.iter().collect();
    rows.sort_by_cached_key(|row| -i128::from(row.model.created));
    let items: String = rows.iter().map(|row| item(row, links_to_chat, origin)).collect();
    let origin = escape(origin);
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<rss version=\"2.0\" \
         xmlns:atom=\"http://www.w3.org/2005/Atom\"><channel><title>Millrace Models</title>\
         <link>{origin}/api/v1/models</link><description>The models of this gateway</description>\
         <language>en</language><atom:link href=\"{origin}/api/v1/models?use_rss=true\" rel=\"self\" \
         type=\"application/rss+xml\"/>{items}</channel></rss>\n"
    )
}

fn item(row: &Listed, links_to_chat: bool, origin: &str) -> String {
    let path = if links_to_chat { "chat?models=" } else { "api/v1/model/" };
    let link = escape(&format!("{origin}/{path}{}", row.id));
    let date = date(Time::from_ms(row.model.created.saturating_mul(1000)));
    let [title, id, description] = [row.model.name, row.id, row.model.description].map(escape);
    format!(
        "<item><title>{title}</title><link>{link}</link><guid isPermaLink=\"false\">{id}</guid>\
         <description>{description}</description><pubDate>{date}</pubDate></item>"
    )
}

/// A time as RFC 822 spells it: `Sat, 21 Nov 2026 14:13:27 GMT`.
fn date(time: Time) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let iso = time.to_iso8601();
    let month: usize = iso[5..7].parse().unwrap_or(1);
    // 1970 began on a Thursday.
    let weekday = DAYS[time.day().number().rem_euclid(7) as usize];
    format!("{weekday}, {} {} {} {} GMT", &iso[8..10], MONTHS[month - 1], &iso[..4], &iso[11..19])
}

fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            // XML has no spelling for control characters.
            character if character.is_control() => out.push(' '),
            character => out.push(character),
        }
    }
    out
}
