//! The variables that OpenTelemetry has for every program, as settings of ours.

use toml::{Table, Value};

/// The setting that such a variable stands for, and its value. An empty one is as none.
pub(super) fn setting(name: &str, text: &str) -> Option<(&'static str, Value)> {
    if text.trim().is_empty() {
        return None;
    }
    Some(match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => ("otlp.endpoint", Value::from(text.trim())),
        "OTEL_EXPORTER_OTLP_HEADERS" => ("otlp.headers", Value::Table(headers(text))),
        "OTEL_SERVICE_NAME" => ("otlp.service_name", Value::from(text.trim())),
        _ => return None,
    })
}

/// `name=value,name=value`, with values in percent-encoding.
fn headers(text: &str) -> Table {
    let pairs = text.split(',').filter_map(|pair| pair.split_once('='));
    let header = |(name, value): (&str, &str)| {
        let value = percent_encoding::percent_decode_str(value.trim()).decode_utf8_lossy();
        (name.trim().to_owned(), Value::from(value.into_owned()))
    };
    pairs.map(header).collect()
}

#[cfg(test)]
mod tests {
    use super::super::{Config, layers::Layers};

    fn config(variables: &[(&str, &str)]) -> Config {
        let mut layers = Layers::defaults().expect("defaults");
        let file = "[otlp]\nendpoint = 'http://file'\nqueue = 7";
        layers.add_file("config", file).expect("a file");
        for (name, value) in variables {
            layers.add_variable(name, value).expect("a variable");
        }
        layers.config().expect("valid")
    }

    #[test]
    fn the_variables_of_opentelemetry_come_after_the_file_and_before_our_own() {
        let otlp = config(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://standard:4318"),
            (
                "OTEL_EXPORTER_OTLP_HEADERS",
                "authorization=Basic%20YTpi, x-a = b=c",
            ),
            ("OTEL_SERVICE_NAME", "chat"),
            ("OTEL_LOG_LEVEL", "debug"),
        ])
        .otlp;
        assert_eq!(otlp.endpoint, "http://standard:4318");
        assert_eq!(otlp.headers["authorization"], "Basic YTpi");
        assert_eq!(otlp.headers["x-a"], "b=c");
        assert_eq!((&otlp.service_name[..], otlp.queue), ("chat", 7));
        let ours = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://standard"),
            ("TOKENFALL__OTLP__ENDPOINT", "http://ours"),
        ];
        assert_eq!(config(&ours).otlp.endpoint, "http://ours");
        let empty = [("OTEL_EXPORTER_OTLP_ENDPOINT", " ")];
        assert_eq!(config(&empty).otlp.endpoint, "http://file");
    }

    #[test]
    fn what_cannot_be_is_named() {
        for (text, key) in [
            ("endpoint = 'collector:4318'", "endpoint"),
            ("headers = { 'a b' = 'c' }", "headers"),
            ("sample_ratio = 1.5", "sample_ratio"),
            ("sample_ratio = nan", "sample_ratio"),
            ("queue = 0", "queue"),
        ] {
            let error = Config::from_toml(&format!("[otlp]\n{text}")).expect_err(text);
            assert_eq!(error.key, format!("otlp.{key}"), "{error}");
        }
    }
}
