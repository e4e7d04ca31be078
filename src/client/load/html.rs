//! A report as a page: plots in SVG, no script, nothing from elsewhere.

use std::fmt::Write;

use super::{Histogram, Report};

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 220.0;
/// Room for the labels of the axes.
const LEFT: f64 = 46.0;
const BOTTOM: f64 = 30.0;
const TOP: f64 = 10.0;
/// Bars of a histogram.
const BARS: usize = 80;
/// The shortest time that has a place of its own, in nanoseconds: an axis of powers has no zero.
const SHORTEST: f64 = 1_000.0;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:46rem;margin:2rem auto;\
padding:0 1rem;color:#1b1f24;background:#fff}pre{overflow-x:auto}svg{width:100%;height:auto}\
.bar{fill:#8fb4e3}.all{fill:none;stroke:#b3401f;stroke-width:2}.grid{stroke:#8884}\
text{font-size:11px;fill:currentColor}\
@media(prefers-color-scheme:dark){body{color:#e6e6e6;background:#16181c}.bar{fill:#3c6698}.all{stroke:#ff9d7a}}";

/// The whole page.
pub(super) fn page(report: &Report) -> String {
    let mut page = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>Load on {url}</title><style>{STYLE}</style>\n\
         <h1>Load on {url}</h1>\n<pre>{text}</pre>\n\
         <p>Bars: how many took so long. Line: which part of all took no longer.</p>\n",
        url = escape(&report.url),
        text = escape(&report.to_text()),
    );
    for (name, _, times) in report.times() {
        // Writing to a string does not fail.
        let _ = write!(page, "<h2>{name}</h2>\n{}\n", plot(name, times));
    }
    page.push_str("</html>\n");
    page
}

/// An axis of times, each ten times the last at equal distances.
struct Axis {
    from: f64,
    to: f64,
}

impl Axis {
    /// Whole powers of ten around all times.
    fn of(times: &Histogram) -> Self {
        let first = times
            .buckets()
            .next()
            .map_or(SHORTEST, |(from, _, _)| from as f64);
        let last = times.max().as_nanos() as f64;
        let from = first.max(SHORTEST).log10().floor();
        Self {
            from,
            to: last.max(SHORTEST).log10().ceil().max(from + 1.0),
        }
    }

    /// Where a time in nanoseconds lies, from 0 to 1.
    fn place(&self, nanos: f64) -> f64 {
        let place = (nanos.max(SHORTEST).log10() - self.from) / (self.to - self.from);
        place.clamp(0.0, 1.0)
    }
}

fn plot(name: &str, times: &Histogram) -> String {
    let axis = Axis::of(times);
    let x = |place: f64| LEFT + place * (WIDTH - LEFT);
    let y = |part: f64| TOP + (1.0 - part) * (HEIGHT - TOP - BOTTOM);
    let mut bars = [0_u64; BARS];
    let mut all = format!("M{:.1} {:.1}", x(0.0), y(0.0));
    let mut counted = 0;
    for (from, to, count) in times.buckets() {
        let place = axis.place(from as f64);
        bars[((place * BARS as f64) as usize).min(BARS - 1)] += count;
        let part = counted as f64 / times.count() as f64;
        counted += count;
        let end = counted as f64 / times.count() as f64;
        // Writing to a string does not fail.
        let _ = write!(all, "L{:.1} {:.1}", x(place), y(part));
        let _ = write!(all, "L{:.1} {:.1}", x(axis.place(to as f64)), y(end));
    }
    let most = bars.iter().copied().max().unwrap_or(1).max(1);
    let mut svg =
        format!("<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{name}\">");
    for (bar, count) in bars.iter().enumerate().filter(|(_, count)| **count > 0) {
        let top = y(*count as f64 / most as f64);
        let _ = write!(
            svg,
            "<rect class=\"bar\" x=\"{:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{:.1}\"/>",
            x(bar as f64 / BARS as f64),
            (WIDTH - LEFT) / BARS as f64 - 1.0,
            y(0.0) - top,
        );
    }
    let _ = write!(
        svg,
        "<path class=\"all\" d=\"{all}\"/>{}</svg>",
        grid(&axis, x, y)
    );
    svg
}

/// Lines at each power of ten and each quarter, with what they are.
fn grid(axis: &Axis, x: impl Fn(f64) -> f64, y: impl Fn(f64) -> f64) -> String {
    let mut grid = String::new();
    let steps = (axis.to - axis.from).round() as usize;
    for step in 0..=steps {
        let at = x(step as f64 / steps as f64);
        let anchor = if step == steps { "end" } else { "middle" };
        let label = label(axis.from + step as f64);
        let _ = write!(
            grid,
            "<path class=\"grid\" d=\"M{at:.1} {:.1}V{:.1}\"/><text x=\"{at:.1}\" y=\"{}\" text-anchor=\"{anchor}\">{label}</text>",
            y(1.0),
            y(0.0),
            HEIGHT - 10.0,
        );
    }
    for quarter in 0..=4 {
        let part = f64::from(quarter) / 4.0;
        let at = y(part);
        let _ = write!(
            grid,
            "<path class=\"grid\" d=\"M{LEFT} {at:.1}H{WIDTH}\"/><text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{:.0} %</text>",
            LEFT - 6.0,
            at + 4.0,
            part * 100.0,
        );
    }
    grid
}

/// A power of ten of nanoseconds, as people say it.
fn label(power: f64) -> String {
    let nanos = 10_f64.powf(power);
    match power {
        power if power < 6.0 => format!("{} µs", nanos / 1e3),
        power if power < 9.0 => format!("{} ms", nanos / 1e6),
        _ => format!("{} s", nanos / 1e9),
    }
}

fn escape(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::client::load::{Processes, Tally};

    #[test]
    fn a_page_plots_what_was_measured_and_shows_no_markup_of_others() {
        let mut tally = Tally::default();
        for millis in 1..=100 {
            tally.first_token.add(millis * 1_000_000);
        }
        let processes = Processes::watch(&[]).expect("none");
        let report = Report::new("http://<x>", Duration::from_secs(1), tally, &processes);
        let page = report.to_html();
        assert_eq!(page.matches("<svg").count(), 1);
        assert!(page.contains("aria-label=\"Time to first token\""));
        assert!(page.contains(">1 ms<") && page.contains(">100 ms<"));
        assert!(!page.contains("<x>") && !page.contains("<script"));
        assert!(!page.contains("NaN") && !page.contains("inf"));
    }
}
