//! How many answers are known, what they count as, and what is written down of them.

use super::{
    Client, FINISHED, IN_FLIGHT, asked, open_gate, outcome, sharing, stream, two_words, words,
};
use crate::{
    gate::Gate,
    http::{fetch, post, request},
    proxy::wait_until_idle,
    upstream::Script,
    usage::Records,
};

const KEY: (&str, &str) = ("authorization", "Bearer k");

fn other() -> String {
    stream().replace("Hi", "Ho")
}

fn answering() -> Script {
    two_words(&open_gate())
}

#[test]
fn beyond_the_limit_those_under_way_are_not_shared() {
    let gate = Gate::default();
    let settings = sharing(two_words(&gate), IN_FLIGHT);
    let proxy = settings.set("stream.max_cached_answers", "1").start();
    let first = Client::of(&proxy, &stream());
    let (second, third) = (Client::of(&proxy, &other()), Client::of(&proxy, &other()));
    let fourth = Client::of(&proxy, &stream());
    let clients = [&first, &second, &third, &fourth];
    let outcomes = clients.map(|client| client.outcome());
    assert_eq!(outcomes, [Some("miss"), None, None, Some("shared")]);
    gate.open();
    for client in [first, second, third, fourth] {
        client.rest().assert_streams(&words());
    }
    assert_eq!(asked(&proxy), 3);
}

#[test]
fn beyond_the_limit_the_oldest_finished_answer_is_forgotten() {
    let settings = sharing(answering(), FINISHED).set("stream.max_cached_answers", "1");
    let proxy = settings.start();
    for (body, expected) in [
        (stream(), "miss"),
        (stream(), "hit"),
        (other(), "miss"),
        (other(), "hit"),
        (stream(), "miss"),
    ] {
        assert_eq!(outcome(&proxy.ask(&body)), Some(expected));
    }
}

#[test]
fn answers_of_others_take_requests_and_no_tokens() {
    let keys = "[{ name = 'ci', key = 'k', rpm = 3, tpm = 6000 }]";
    let settings = sharing(answering(), FINISHED).set("auth.keys", keys);
    let proxy = settings.start();
    let left = || -> u64 {
        let reply = proxy.ask_with(&stream(), &[KEY]);
        let left = reply.head.header("x-ratelimit-remaining-tokens");
        left.unwrap_or_else(|| panic!("{}", reply.text()))
            .parse()
            .expect("a number")
    };
    // Each takes a thousand tokens and one until it ends; the first then has used five.
    let first = left();
    for _ in 0..2 {
        let later = left();
        assert!(later + 5 >= first, "{first} {later}");
    }
    let refused = proxy.ask_with(&stream(), &[KEY]);
    assert_eq!(refused.head.status, 429);
}

#[test]
fn of_those_who_share_an_answer_to_its_end_one_pays_for_it() {
    const KEYS: &str = "[{ name = 'ci', key = 'k', tokens_per_day = 4000 }]";
    // What the upstream reports; and of who was cancelled what was held, a prompt and a thousand.
    for (cancels, used) in [(false, 5), (true, 1006)] {
        let gate = Gate::default();
        let settings = sharing(two_words(&gate), IN_FLIGHT).set("auth.keys", KEYS);
        let proxy = settings.start();
        let open = || {
            let mut connection = proxy.open_with(&stream(), &[KEY]);
            let head = connection.head();
            (head, connection.chunks_until("one"), connection)
        };
        let (mut first, mut second) = (open(), open());
        if cancels {
            let id = first.0.header("x-completion-id").expect("an id");
            let path = format!("/v1/chat/completions/{id}/cancel");
            fetch(proxy.address(), &request("POST", &path, &[KEY]));
        }
        gate.open();
        first.2.rest(first.0, first.1);
        second.2.rest(second.0, second.1);
        wait_until_idle(&proxy.server);
        // What the day still has room for, beside a prompt of one token.
        let fits = |tokens: u64| {
            let body = format!(
                r#"{{"model":"m","max_tokens":{tokens},"messages":[{{"role":"user","content":"Hi"}}]}}"#
            );
            fetch(proxy.address(), &post(body, &[KEY])).head.status != 429
        };
        let room = 4000 - used - 1;
        assert!(!fits(room + 1), "{cancels}");
        assert!(fits(room), "{cancels}");
    }
}

#[test]
fn records_and_metrics_say_how_each_was_answered() {
    let records = Records::new();
    let settings = sharing(answering(), FINISHED).set("usage.sink", &records.setting());
    let proxy = settings.start();
    proxy.ask(&stream());
    proxy.ask(&stream());
    let written = records.wait_for(2);
    assert_eq!(written.len(), 2, "none of the source: {written:?}");
    let of = |member: &str| [&written[0][member], &written[1][member]];
    assert_eq!(of("cache"), ["miss", "hit"]);
    assert_eq!(of("attempts"), [1, 0]);
    assert_eq!(of("end"), ["completed", "completed"]);
    assert_eq!(of("completion_tokens"), [2, 2]);
    assert_eq!(of("usage_source"), ["reported", "reported"]);
    let address = proxy.upstream.address.to_string();
    assert_eq!(written[0]["upstream"], address);
    assert!(written[1]["upstream"].is_null());
    let metrics = fetch(proxy.address(), &request("GET", "/metrics", &[]));
    for line in [
        "tokenfall_cache_total{model=\"*\",outcome=\"miss\"} 1",
        "tokenfall_cache_total{model=\"*\",outcome=\"hit\"} 1",
        "tokenfall_completions_total{model=\"*\",end=\"completed\"} 2",
        "tokenfall_tokens_total{model=\"*\",kind=\"completion\",source=\"reported\"} 2",
        "tokenfall_tokens_total{model=\"*\",kind=\"completion\",source=\"cached\"} 2",
        "tokenfall_streams_open{state=\"waiting\"} 0",
        "tokenfall_streams_open{state=\"streaming\"} 0",
    ] {
        assert!(metrics.text().contains(line), "{line}: {}", metrics.text());
    }
    let attempts = format!("tokenfall_attempts_total{{upstream=\"{address}\"}} 1");
    assert!(metrics.text().contains(&attempts), "{}", metrics.text());
}
