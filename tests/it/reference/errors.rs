//! `docs/errors.md`: every code, with the status and the envelope that the code itself makes of it.

mod advice;

use std::{fmt::Write, fs, path::Path, time::Duration};

use actix_web::{ResponseError, body::to_bytes, http::Method};
use serde_json::Value;
use tokenfall::{
    access::{Exceeded, Limit, Standing},
    api::{ApiError, Part},
    completion::{Clock, Code, Failure},
    openai::Invalid,
};

use self::advice::{Advice, of_code, of_error};
use super::hold;

const INTRODUCTION: &str = "\
# Errors

Every error is OpenAI's envelope, all four members always there:

```json
{\"error\":{\"message\":\"…\",\"type\":\"upstream_error\",\"param\":null,\"code\":\"upstream_truncated\"}}
```

Before a stream has begun it comes with the HTTP status below; after that it is the last event but one of the stream,
`data: {\"error\":{…}}`, then `data: [DONE]`. Programs should go by `code`; `message` is for people, and may change.

An upstream's own error (400, 404, 429 …) passes through with its status, body and `retry-after`, so that it may have any code;
inside a stream it is such an event too, with all four members.

**Again**: whether the same request may do better later. Official SDKs try 408, 409, 429 and 5xx again by themselves, twice, unless
`x-should-retry: false` says not to; they never do once a stream has begun. A stream that was cut without an error event is not an
error of this list: [read on from where it was](endpoints.md#coming-back). A malformed HTTP head gets a bare 400, one of
more than 96 headers a bare 431, from the HTTP library itself.

| code | status | `type` | `param` | in a stream | again |
| --- | --- | --- | --- | --- | --- |
";

const OF_THE_MOCK: &str = "
## Of the mock alone

| code | status | when |
| --- | --- | --- |
| `mock_no_match` | 404 | no scenario fits the request, and `mock.on_no_match` is `error`; the message says which conditions did not hold |
| `mock_ambiguous` | 400 | several scenarios fit equally well |
| `mock_no_cassette` | 404 | no cassette has the request; the message has the nearest one and what differs |
| `mock_error` | 400, 500 | an `x-mock-*` header, or a scenario, that cannot be |

A fault such as `status=429` answers as OpenAI does, with `invalid_api_key`, `model_not_found`, `rate_limit_exceeded`, `overloaded` or no code.
";

/// A row of the page.
struct Row {
    error: ApiError,
    is_event: bool,
    advice: Advice,
}

#[actix_web::test]
async fn the_page_of_errors_is_what_the_code_says() {
    let mut table = String::new();
    let mut rest = String::new();
    for row in rows() {
        let (status, code) = (row.error.status_code().as_u16(), row.member("code").await);
        let code = code.unwrap_or("null".to_owned());
        let kind = match code == Code::RateLimitExceeded.label() {
            true => Some("requests`, `tokens".to_owned()),
            false => row.member("type").await,
        };
        let code_cell = format!("[`{code}`](#{code})");
        let kind = format!("`{}`", kind.expect("a type"));
        let param = row.member("param").await.map(|param| format!("`{param}`"));
        let param = row.advice.param.map(str::to_owned).or(param);
        let cells: [&str; 6] = [
            &code_cell[..],
            &status.to_string(),
            &kind[..],
            &param.unwrap_or_default(),
            if row.is_event { "yes" } else { "" },
            &row.again(),
        ];
        let _ = writeln!(table, "| {} |", cells.join(" | "));
        let Advice { when, advice, .. } = row.advice;
        let _ = write!(
            rest,
            "\n### `{code}`\n\nStatus {status}: {when}. {advice}\n"
        );
    }
    let page = format!("{INTRODUCTION}{table}\n## When, and what to do\n{rest}{OF_THE_MOCK}");
    hold("docs/errors.md", &page);
}

#[test]
fn all_codes_are_in_the_list() {
    // The last has the number of those before it.
    assert_eq!(Code::ALL.len(), Code::InternalError as usize + 1);
    let numbers = Code::ALL.iter().map(|code| *code as usize);
    assert!(numbers.eq(0..Code::ALL.len()));
}

#[test]
fn the_mocks_codes_are_on_the_page() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/backend/mock");
    let mut codes = 0;
    for file in ["refusal.rs", "cast.rs", "replay.rs"] {
        let text = fs::read_to_string(folder.join(file)).expect("a source");
        for code in text.split('"').filter(|text| text.starts_with("mock_")) {
            codes += 1;
            assert!(OF_THE_MOCK.contains(&format!("`{code}`")), "{code}");
        }
    }
    assert!(codes >= 4, "{codes}");
}

impl Row {
    /// A member of the envelope that is sent.
    async fn member(&self, name: &str) -> Option<String> {
        let body = to_bytes(self.error.error_response().into_body()).await;
        let body: Value = serde_json::from_slice(&body.expect("a body")).expect("JSON");
        body["error"][name].as_str().map(str::to_owned)
    }

    /// Whether to ask again, and the headers that say so.
    fn again(&self) -> String {
        let response = self.error.error_response();
        let headers = ["retry-after", "x-should-retry"].into_iter();
        let sent = headers.filter(|name| response.headers().contains_key(*name));
        let told = sent.map(|name| match name {
            "retry-after" => ", `retry-after`",
            _ => ", `x-should-retry: false`",
        });
        format!("{}{}", self.advice.again, told.collect::<String>())
    }
}

fn rows() -> Vec<Row> {
    let of_code = Code::ALL.into_iter().map(|code| Row {
        error: ApiError::Failure(failure(code)),
        is_event: code.ends_streams(),
        advice: of_code(code),
    });
    let of_api = api_errors().into_iter().map(|error| Row {
        is_event: false,
        advice: of_error(&error),
        error,
    });
    of_code.chain(of_api).collect()
}

/// A failure as it comes about.
fn failure(code: Code) -> Failure {
    if code == Code::UpstreamTimeout {
        return Failure::Coded {
            code,
            message: String::new(),
            clock: Some(Clock::FirstChunk),
        };
    }
    let limits = [Limit::Requests, Limit::Day].map(exceeded);
    let limited = limits.into_iter().find(|failure| failure.code() == code);
    limited.unwrap_or(Failure::new(code, ""))
}

fn exceeded(limit: Limit) -> Failure {
    Failure::Limited(Box::new(Exceeded {
        limit,
        size: 1,
        used: 1,
        asked: 1,
        retry_after: Some(Duration::from_secs(1)),
        standing: Standing::default(),
    }))
}

/// One of each; `advice::of_error` does not compile if one is missing there.
fn api_errors() -> Vec<ApiError> {
    let too_large = |part| ApiError::TooLarge { part, max_bytes: 1 };
    vec![
        ApiError::Invalid(Invalid::at("messages", "why")),
        ApiError::Unauthorized { is_given: true },
        ApiError::BadTicket,
        ApiError::NotAdmin,
        ApiError::NotFound {
            path: String::new(),
            served: String::new(),
        },
        ApiError::MethodNotAllowed {
            method: Method::GET,
            allowed: "POST".to_owned(),
        },
        too_large(Part::Body),
        too_large(Part::Target),
        too_large(Part::Header("cookie".to_owned())),
        ApiError::BodyTimeout {
            limit: Duration::from_secs(60),
        },
        ApiError::BodyBroken(String::new()),
        ApiError::NotVerified(String::new()),
    ]
}
