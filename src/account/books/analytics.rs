//! `POST /analytics/query`: what was counted by day, added up by whatever is asked for. Finer than a day
//! nothing is counted.

use super::super::view::usd;
use super::activity::{By, Question, Row};
use crate::error::Failure;
use crate::json::{self, Members};
use crate::money::Money;
use crate::time::{Day, Time};
use std::borrow::Cow;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// How far back a query without `time_range` looks.
const DAYS: i64 = 30;
/// The longest time that a query may ask for, in days.
const MOST_DAYS: i64 = 366;
const ROWS: usize = 1000;
const MOST_ROWS: u64 = 10_000;

/// Name, label and format of what can be measured.
const METRICS: [(&str, &str, &str); 9] = [
    ("request_count", "Request Count", "number"),
    ("total_usage", "Total Usage", "currency"),
    ("byok_usage_inference", "BYOK Usage", "currency"),
    ("tokens_total", "Total Tokens", "number"),
    ("tokens_prompt", "Prompt Tokens", "number"),
    ("tokens_completion", "Completion Tokens", "number"),
    ("reasoning_tokens", "Reasoning Tokens", "number"),
    ("cached_tokens", "Cached Tokens", "number"),
    ("cache_hit_rate", "Cache Hit Rate", "percent"),
];
const DIMENSIONS: [(&str, &str); 4] =
    [("model", "Model"), ("provider", "Provider"), ("api_key_id", "API Key"), ("workspace", "Workspace")];
const OPERATORS: [(&str, &str); 8] = [
    ("eq", "scalar"),
    ("neq", "scalar"),
    ("in", "array"),
    ("not_in", "array"),
    ("gt", "scalar"),
    ("gte", "scalar"),
    ("lt", "scalar"),
    ("lte", "scalar"),
];
const GRANULARITIES: [(&str, &str); 3] = [("day", "Day"), ("week", "Week"), ("month", "Month")];

/// A query that makes sense.
#[derive(Debug)]
pub struct Query {
    metrics: Vec<&'static str>,
    dimensions: Vec<&'static str>,
    filters: Vec<Filter>,
    granularity: Option<&'static str>,
    from: Day,
    to: Day,
    /// What to order by, and whether the greatest comes first.
    order: Option<(&'static str, bool)>,
    limit: usize,
    group_limit: usize,
}

#[derive(Debug)]
struct Filter {
    field: &'static str,
    operator: &'static str,
    values: Vec<String>,
}

/// The body of `GET /analytics/meta`.
pub fn write_meta() -> String {
    let metrics = METRICS.map(|(name, label, format)| {
        let rate = format == "percent";
        format!(
            r#"{{"name":"{name}","display_label":"{label}","display_format":"{format}","is_rate":{rate}}}"#
        )
    });
    let labelled = |(name, label): &(&str, &str)| format!(r#"{{"name":"{name}","display_label":"{label}"}}"#);
    let operators = OPERATORS.map(|(name, kind)| format!(r#"{{"name":"{name}","value_type":"{kind}"}}"#));
    format!(
        r#"{{"data":{{"metrics":[{}],"dimensions":[{}],"operators":[{}],"granularities":[{}]}}}}"#,
        metrics.join(","),
        DIMENSIONS.iter().map(labelled).collect::<Vec<_>>().join(","),
        operators.join(","),
        GRANULARITIES.iter().map(labelled).collect::<Vec<_>>().join(","),
    )
}

impl Query {
    /// Reads the body of a query at `now`. Fails for what cannot be answered, by its name.
    pub fn read(body: &str, now: Time) -> Result<Query, Failure> {
        let members = json::members(body)
            .map_err(|error| Failure::invalid(format!("The body is not a JSON object: {error}")))?;
        let metrics = known_list(&members, "metrics", &METRICS.map(|(name, ..)| name))?;
        if metrics.is_empty() {
            return Err(Failure::invalid("metrics: at least one is required"));
        }
        let dimensions = known_list(&members, "dimensions", &DIMENSIONS.map(|(name, _)| name))?;
        if dimensions.len() > 2 {
            return Err(Failure::invalid("dimensions: Too big: expected array to have <=2 items"));
        }
        for name in ["classifier_dimensions", "classifier_filters"] {
            if members.value(name).is_some() {
                return Err(Failure::invalid(format!("{name}: there are no classifiers here")));
            }
        }
        let granularity = match members.value("granularity") {
            None => None,
            Some(value) => Some(known("granularity", value, &GRANULARITIES.map(|(name, _)| name))?),
        };
        let (from, to) = range(&members, now)?;
        let count = |name: &str, most: u64| match members.value(name).map(json::whole) {
            None => Ok(None),
            Some(Some(count)) if count > 0 => Ok(Some(count.min(most) as usize)),
            Some(_) => Err(Failure::invalid(format!("{name}: must be a whole number above zero"))),
        };
        let mut query = Query {
            metrics,
            dimensions,
            filters: filters(&members)?,
            granularity,
            from,
            to,
            order: None,
            limit: count("limit", MOST_ROWS)?.unwrap_or(ROWS),
            group_limit: count("group_limit", MOST_ROWS)?.unwrap_or(usize::MAX),
        };
        query.order = order(&members, &query)?;
        Ok(query)
    }

    /// What the account has to be asked.
    pub fn question(&self) -> Question {
        let by = By { day: true, key: true, workspace: true };
        Question { from: self.from.number(), to: self.to.number(), by, ..Question::default() }
    }

    /// The body of the answer, of rows that were told apart by day, key and workspace. `ms` is how long
    /// that took; an empty workspace is `first`.
    pub fn answer(&self, rows: &[Row], first: &str, ms: u64) -> String {
        let mut groups: BTreeMap<(i64, Vec<&str>), Sums> = BTreeMap::new();
        for row in rows.iter().filter(|row| self.filters.iter().all(|filter| filter.admits(row, first))) {
            let names = self.dimensions.iter().map(|name| dimension(row, name, first)).collect();
            groups.entry((self.bucket(row.day), names)).or_default().add(row);
        }
        let mut rows: Vec<_> = groups.into_iter().collect();
        rows.sort_by(|one, other| self.compare(one, other));
        let mut of_group: BTreeMap<Vec<&str>, usize> = BTreeMap::new();
        let found = rows.len();
        rows.retain(|((_, names), _)| {
            let count = of_group.entry(names.clone()).or_default();
            *count += 1;
            names.is_empty() || *count <= self.group_limit
        });
        rows.truncate(self.limit);
        let written: Vec<String> = rows.iter().map(|row| self.write(row)).collect();
        format!(
            r#"{{"data":{{"data":[{}],"metadata":{{"query_time_ms":{ms},"row_count":{},"truncated":{}}}}}}}"#,
            written.join(","),
            written.len(),
            written.len() < found,
        )
    }

    /// The first day of the time that a day belongs to; 0 where all days are one.
    fn bucket(&self, day: i64) -> i64 {
        let day = Day::from_number(day);
        match self.granularity {
            None => 0,
            Some("week") => day.week_start().number(),
            Some("month") => day.month_start().number(),
            Some(_) => day.number(),
        }
    }

    fn compare(&self, one: &Group, other: &Group) -> Ordering {
        let Some((field, descending)) = self.order else { return one.0.cmp(&other.0) };
        let at = self.dimensions.iter().position(|name| *name == field);
        let order = match (field, at) {
            ("date", _) => one.0.0.cmp(&other.0.0),
            (_, Some(at)) => one.0.1[at].cmp(other.0.1[at]),
            (_, None) => one.1.measure(field).cmp(&other.1.measure(field)),
        };
        let order = if descending { order.reverse() } else { order };
        order.then_with(|| one.0.cmp(&other.0))
    }

    fn write(&self, ((day, names), sums): &Group) -> String {
        let mut members = Vec::new();
        if let Some(granularity) = self.granularity {
            let start = Day::from_number(*day).start().to_iso8601();
            members.push(format!(r#""date__{granularity}":"{start}""#));
        }
        let named = self.dimensions.iter().zip(names);
        members.extend(named.map(|(name, value)| format!(r#""{name}":{}"#, json::quote(value))));
        members.extend(self.metrics.iter().map(|name| format!(r#""{name}":{}"#, sums.write(name))));
        format!("{{{}}}", members.join(","))
    }
}

type Group<'a> = ((i64, Vec<&'a str>), Sums);

impl Filter {
    fn admits(&self, row: &Row, first: &str) -> bool {
        let value = dimension(row, self.field, first);
        let among =
            self.values.iter().any(|one| one == value || (self.field == "model" && *one == row.model));
        let against = self.values.first().map_or(Ordering::Equal, |one| value.cmp(one));
        match self.operator {
            "eq" | "in" => among,
            "neq" | "not_in" => !among,
            "gt" => against.is_gt(),
            "gte" => against.is_ge(),
            "lt" => against.is_lt(),
            _ => against.is_le(),
        }
    }
}

fn dimension<'a>(row: &'a Row, name: &str, first: &'a str) -> &'a str {
    match name {
        "provider" => &row.provider,
        "api_key_id" => &row.key,
        "workspace" if row.workspace.is_empty() => first,
        "workspace" => &row.workspace,
        _ => &row.permaslug,
    }
}

#[derive(Default)]
struct Sums {
    requests: u64,
    prompt: u64,
    completion: u64,
    reasoning: u64,
    cached: u64,
    usage: Money,
    byok: Money,
}

impl Sums {
    fn add(&mut self, row: &Row) {
        let add = |total: Money, one: Money| total.checked_add(one).unwrap_or(Money::MAX);
        self.requests += row.counts.requests;
        self.prompt = self.prompt.saturating_add(row.counts.prompt());
        self.completion = self.completion.saturating_add(row.counts.completion());
        self.reasoning = self.reasoning.saturating_add(row.counts.reasoning);
        self.cached = self.cached.saturating_add(row.counts.cache_read);
        self.usage = add(self.usage, row.usage);
        self.byok = add(self.byok, row.byok_usage);
    }

    /// A metric as a number to order by.
    fn measure(&self, name: &str) -> i128 {
        match name {
            "total_usage" => i128::from(self.usage.pico()),
            "byok_usage_inference" => i128::from(self.byok.pico()),
            "tokens_total" => i128::from(self.prompt) + i128::from(self.completion),
            "tokens_prompt" => i128::from(self.prompt),
            "tokens_completion" => i128::from(self.completion),
            "reasoning_tokens" => i128::from(self.reasoning),
            "cached_tokens" => i128::from(self.cached),
            // In millionths.
            "cache_hit_rate" => i128::from(self.cached) * 1_000_000 / i128::from(self.prompt.max(1)),
            _ => i128::from(self.requests),
        }
    }

    fn write(&self, name: &str) -> String {
        match name {
            "total_usage" => usd(self.usage).get().to_owned(),
            "byok_usage_inference" => usd(self.byok).get().to_owned(),
            "cache_hit_rate" => {
                let millionths = self.measure(name);
                format!("{}.{:06}", millionths / 1_000_000, millionths % 1_000_000)
            }
            _ => self.measure(name).to_string(),
        }
    }
}

/// The member's texts, each one of those that are known.
fn known_list(members: &Members, name: &str, all: &[&'static str]) -> Result<Vec<&'static str>, Failure> {
    let Some(value) = members.value(name) else { return Ok(Vec::new()) };
    let elements =
        json::elements(value).map_err(|_| Failure::invalid(format!("{name}: must be an array")))?;
    elements.into_iter().map(|element| known(name, element, all)).collect()
}

fn known(name: &str, value: &str, all: &[&'static str]) -> Result<&'static str, Failure> {
    let text = json::string(value).unwrap_or_default();
    let found = all.iter().find(|one| **one == text);
    found.copied().ok_or_else(|| Failure::invalid(format!("{name}: known are {}", all.join(", "))))
}

fn range(members: &Members, now: Time) -> Result<(Day, Day), Failure> {
    let today = now.day().number();
    let Some(range) = members.object("time_range") else {
        return Ok((Day::from_number(today - DAYS), Day::from_number(today)));
    };
    let moment = |name: &str| {
        let time = range.string(name).and_then(|text| Time::parse_iso8601(&text));
        time.ok_or_else(|| {
            Failure::invalid(format!("time_range.{name}: must be a time as 2026-11-21T00:00:00Z"))
        })
    };
    let (start, end) = (moment("start")?, moment("end")?);
    if end <= start {
        return Err(Failure::invalid("time_range: must end after it starts"));
    }
    // The end is not included: midnight ends the day before.
    let last = Time::from_ms(end.ms() - 1).day();
    if last.number() - start.day().number() > MOST_DAYS {
        return Err(Failure::invalid(format!("time_range: at most {MOST_DAYS} days")));
    }
    Ok((start.day(), last))
}

fn filters(members: &Members) -> Result<Vec<Filter>, Failure> {
    let elements = members.array("filters").unwrap_or_default();
    if elements.len() > 20 {
        return Err(Failure::invalid("filters: Too big: expected array to have <=20 items"));
    }
    elements.into_iter().map(filter).collect()
}

fn filter(element: &str) -> Result<Filter, Failure> {
    let members = json::members(element).map_err(|_| Failure::invalid("filters: must be objects"))?;
    let member = |name: &str| {
        members.value(name).ok_or_else(|| Failure::invalid(format!("filters: {name} is required")))
    };
    let value = member("value")?;
    let text = |value: &str| json::string(value).unwrap_or(Cow::Borrowed(value)).into_owned();
    let values = match json::elements(value) {
        Ok(elements) => elements.into_iter().map(text).collect(),
        Err(_) => vec![text(value)],
    };
    Ok(Filter {
        field: known("filters.field", member("field")?, &DIMENSIONS.map(|(name, _)| name))?,
        operator: known("filters.operator", member("operator")?, &OPERATORS.map(|(name, _)| name))?,
        values,
    })
}

/// What `order_by` asks for: a metric or dimension of the query, the number of requests, or the date.
fn order(members: &Members, query: &Query) -> Result<Option<(&'static str, bool)>, Failure> {
    let Some(order) = members.object("order_by") else { return Ok(None) };
    let fields = [query.metrics.as_slice(), &query.dimensions, &["request_count", "date"]].concat();
    let field = known("order_by.field", order.get("field").unwrap_or("null"), &fields)?;
    match order.string("direction").as_deref() {
        Some("asc") => Ok(Some((field, false))),
        Some("desc") => Ok(Some((field, true))),
        Some(_) | None => Err(Failure::invalid("order_by.direction: known are asc and desc")),
    }
}
