//! Requests that are kept to a region by the host that they were sent to.

use super::play::snapshot;
use crate::outlined;
use millrace::catalog::{self, Catalog};
use millrace::exchange::Intent;
use millrace::health::Unknown;
use millrace::protocol::bridge::Face;
use millrace::routing::survey;
use millrace::time::Time;

/// The regions of the endpoints that may serve a model.
fn served(model: &str, host: Option<&'static str>, provider: &str) -> Vec<Option<&'static str>> {
    let body = format!(
        r#"{{"model":"{model}","provider":{provider},"messages":[{{"role":"user","content":"a"}}]}}"#
    );
    let request = Face::Chat.read_request(&outlined(&body), "", false).expect("well formed");
    let mut intent =
        Intent::read(Face::Chat, &outlined(&body), &request, &snapshot(), None).expect("well formed");
    intent.keep_in(host);
    let query = intent.query(&request, Catalog::BUILT_IN, &Unknown, Time::from_ms(1_795_270_407_000));
    // A model that is gone is sold by nobody.
    let Ok(found) = survey(&query, &|_| true, 1) else { return Vec::new() };
    let model = catalog::find(model).expect("the model is known");
    let region = |tag| model.offers.iter().find(|offer| offer.tag == tag).and_then(|offer| offer.region);
    found.entries.iter().map(|entry| region(entry.candidate.tag)).collect()
}

#[test]
fn a_host_of_a_region_is_served_there_or_by_nobody() {
    for region in ["eu", "us"] {
        let sells = |here: bool| {
            let sold = |model: &&catalog::Model| {
                let regions = served(model.slug, None, "{}");
                !regions.is_empty() && regions.contains(&Some(region)) == here
            };
            catalog::models().iter().copied().find(sold).expect("there is one").slug
        };
        let here = served(sells(true), Some(region), "{}");
        assert!(!here.is_empty() && here.iter().all(|one| *one == Some(region)), "{region}: {here:?}");
        assert!(served(sells(false), Some(region), "{}").is_empty());
        // A request can narrow that, never widen it.
        let other = if region == "eu" { "us" } else { "eu" };
        let asked = |wanted: &str| served(sells(true), Some(region), &format!(r#"{{"region":{wanted}}}"#));
        assert!(asked(&format!(r#""{other}""#)).is_empty());
        assert_eq!(asked(&format!(r#"["{other}","{region}"]"#)), here);
        assert!(!served(sells(false), None, "{}").is_empty());
    }
}
