//! `tokenfall check --against`: whether a model server still answers in the recorded shape.

use std::process::ExitCode;

use super::{FAILED, WRONG_INPUT, fail, key, say, wait_for};
use crate::{
    backend::cassette::{Cassettes, Kept, shape::Shape},
    client::{Client, ClientError},
};

/// Asks everything that was recorded, one after the other, and reports what differs.
pub(super) fn run(cassettes: &Cassettes, url: &str, key_env: Option<&str>) -> ExitCode {
    let key = match key("--key-env", key_env) {
        Ok(key) => key,
        Err(error) => return fail(WRONG_INPUT, &error),
    };
    let client = match Client::new(url, key.as_ref().map(|key| &key.0[..])) {
        Ok(client) => client,
        Err(error) => return fail(WRONG_INPUT, &format!("--against: {error}")),
    };
    match wait_for(report(cassettes, &client)) {
        Err(error) => fail(FAILED, &error),
        Ok(0) => ExitCode::SUCCESS,
        Ok(_) => ExitCode::from(FAILED),
    }
}

/// Says of each cassette how the live reply differs, and in the end of how many it does.
async fn report(cassettes: &Cassettes, client: &Client) -> usize {
    let all = cassettes.all();
    let mut drifted = 0;
    for kept in &all {
        let found = match drift(kept, client).await {
            Ok(found) => found,
            Err(error) => vec![format!("could not be asked: {error}")],
        };
        drifted += usize::from(!found.is_empty());
        say(&match found.is_empty() {
            true => format!("{}: as recorded\n", kept.name()),
            false => format!("{}: drift\n  {}\n", kept.name(), found.join("\n  ")),
        });
    }
    let same = all.len() - drifted;
    say(&format!("{same} as recorded, {drifted} drifted.\n"));
    drifted
}

async fn drift(kept: &Kept, client: &Client) -> Result<Vec<String>, ClientError> {
    let recorded = &kept.cassette;
    let live = client
        .post(&recorded.request.path, &recorded.request.body)
        .await?;
    let live = Shape::of(live.status, live.content_type.as_deref(), live.body);
    Ok(Shape::recorded(&recorded.response).drift(&live))
}
