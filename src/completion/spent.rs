//! What an answer has used: as its upstream told or as it was counted, and where one upstream went
//! on with what another had begun, the sum of both.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Serialize;
use serde_json::{Value, json};

use super::estimate::Counted;

/// The members of a usage object that are sums.
const SUMS: [&str; 3] = ["prompt_tokens", "completion_tokens", "total_tokens"];

/// Where the figures of a record come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Source {
    Reported,
    Estimated,
    None,
}

impl Source {
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Estimated => "estimated",
            Self::None => "none",
        }
    }
}

/// What one answer has used up to now.
#[derive(Debug)]
pub(super) struct Spent {
    // Of the upstream that was asked last: its own object, or one of ours of the same form.
    usage: Option<Value>,
    source: Source,
    // It did nothing for it.
    is_free: bool,
    // Of those that were lost before, together.
    earlier: Option<Value>,
    // How many tokens of the answer they have said, as they were counted.
    said: u64,
}

impl Spent {
    pub(super) fn nothing() -> Self {
        Self {
            usage: None,
            source: Source::None,
            is_free: true,
            earlier: None,
            said: 0,
        }
    }

    /// An upstream is asked. What another one used before it had said anything does not count.
    pub(super) fn asked(&mut self) {
        (self.usage, self.source) = (None, Source::None);
        self.is_free = false;
    }

    /// It has failed; `is_free` if it did nothing.
    pub(super) fn failed(&mut self, is_free: bool) {
        self.is_free = is_free;
    }

    /// It has said what was used up to now.
    pub(super) fn reported(&mut self, usage: &Bytes) {
        if let Ok(usage) = serde_json::from_slice(usage) {
            (self.usage, self.source) = (Some(usage), Source::Reported);
        }
    }

    /// The request and all that was said were counted.
    pub(super) fn counted(&mut self, counted: &Counted) {
        // What was said before was part of its prompt.
        let prompt = counted.prompt.saturating_add(self.said);
        let answer = counted.answer.saturating_sub(self.said);
        self.usage = Some(json!({
            "prompt_tokens": prompt,
            "completion_tokens": answer,
            "total_tokens": prompt + answer,
        }));
        self.source = Source::Estimated;
    }

    /// It was lost after `said` tokens of the answer, and another one goes on from there.
    pub(super) fn lost(&mut self, said: u64) {
        self.earlier = self.total().map(Cow::into_owned);
        self.said = said;
        self.asked();
        self.is_free = true;
    }

    /// Nothing is to be counted: it is known, or there is nothing.
    pub(super) fn is_known(&self) -> bool {
        self.source != Source::None || self.is_free
    }

    /// The sum, as far as it is known.
    pub(super) fn total(&self) -> Option<Cow<'_, Value>> {
        let sum = self.sum().map(Cow::Owned);
        sum.or_else(|| self.usage.as_ref().map(Cow::Borrowed))
    }

    /// The sum of several upstreams; `None` if there was but one.
    pub(super) fn sum(&self) -> Option<Value> {
        let earlier = self.earlier.as_ref()?;
        let mut total = self.usage.clone().unwrap_or_else(|| json!({}));
        let count = |usage: &Value, key| usage.get(key).and_then(Value::as_u64).unwrap_or(0);
        for key in SUMS {
            total[key] = count(&total, key)
                .saturating_add(count(earlier, key))
                .into();
        }
        Some(total)
    }

    /// Where it is known from.
    pub(super) fn source(&self) -> Source {
        match self.earlier {
            // A stream that is lost has not come to its usage chunk.
            Some(_) => Source::Estimated,
            None => self.source,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(prompt: u64, answer: u64) -> Counted {
        Counted { prompt, answer }
    }

    #[test]
    fn of_several_upstreams_the_sum_counts() {
        let mut spent = Spent::nothing();
        spent.asked();
        spent.counted(&counted(10, 4));
        spent.lost(4);
        // One that refuses costs nothing.
        spent.asked();
        spent.failed(true);
        assert!(spent.is_known());
        assert_eq!(spent.total().expect("a sum")["total_tokens"], 14);
        spent.asked();
        let usage = br#"{"prompt_tokens":14,"completion_tokens":6,"total_tokens":20,"x":1}"#;
        spent.reported(&Bytes::from_static(usage));
        let total =
            json!({"prompt_tokens": 24, "completion_tokens": 10, "total_tokens": 34, "x": 1});
        assert_eq!(spent.total().as_deref(), Some(&total));
        assert_eq!(spent.source(), Source::Estimated);
    }

    #[test]
    fn the_count_of_a_part_takes_what_was_said_before_for_its_prompt() {
        let mut spent = Spent::nothing();
        spent.asked();
        spent.counted(&counted(10, 4));
        spent.lost(4);
        spent.asked();
        spent.counted(&counted(10, 9));
        let total = json!({"prompt_tokens": 24, "completion_tokens": 9, "total_tokens": 33});
        assert_eq!(spent.total().as_deref(), Some(&total));
    }

    #[test]
    fn nothing_is_no_usage_and_not_none_of_it() {
        let mut spent = Spent::nothing();
        assert_eq!((spent.total(), spent.source()), (None, Source::None));
        spent.asked();
        assert!(!spent.is_known());
        spent.reported(&Bytes::from_static(b"{"));
        assert_eq!(spent.source(), Source::None);
    }
}
