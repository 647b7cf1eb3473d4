//! Draws the ratios to the best peer: `docs/performance.svg`.
//!
//! A band for each question, a lane in it for each row: a mark at the median, a line from quartile
//! to quartile, a short bar where the budget is. The scale is logarithmic, since half and double
//! are equally far from one.
//!
//! The colours of both themes are in the picture, which has a ground of its own, so that it can be
//! read wherever it is shown. No variables of CSS: not every program that draws SVG knows them.

use std::fmt::Write as _;

use super::budget::{Bound, budgets};
use super::number::{number, rounds};
use super::samples::{Measured, Samples};
use crate::question::{Figure, Question};
use crate::rows::Row;

/// What is drawn, above it and for those who cannot see it.
pub(super) const TITLE: &str = "Cost per operation, as a multiple of the best peer";

const WIDTH: f64 = 920.0;

/// From where to where the scale goes.
const PLOT: (f64, f64) = (215.0, 810.0);

/// Where the numbers beside the lanes end.
const NUMBERS_END: f64 = 880.0;

/// Where the bands begin, below the title, the legend and the numbers of the scale.
const TOP: f64 = 128.0;

const LANE: f64 = 13.0;
const BAND_PADDING: f64 = 8.0;
const BOTTOM: f64 = 34.0;

/// The numbers of the scale, of which those are shown between which there is something.
const TICKS: [f64; 12] = [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];

const STYLE: &str = "\
  text { font-family: system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif; font-size: 12px; fill: #1f2328 }
  .title { font-size: 18px; font-weight: 600 }
  .name { font-weight: 600 }
  .soft { font-size: 11px; fill: #59636e }
  .number { font-size: 10.5px }
  .ground { fill: #ffffff }
  .band { fill: #f6f8fa }
  .grid { stroke: #d1d9e0 }
  .one { stroke: #1f2328; stroke-width: 1.5 }
  .whisker, .budget { stroke-width: 2 }
  .mark { stroke-width: 1.5 }
  .bare { fill: #0969da; stroke: #0969da }
  .default { fill: #1a7f37; stroke: #1a7f37 }
  .hooked { fill: #8250df; stroke: #8250df }
  .tokio { fill: #bc4c00; stroke: #bc4c00 }
  .async-executor { fill: #6e7781; stroke: #6e7781 }
  text.bare, text.default, text.hooked, text.tokio, text.async-executor { stroke: none }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .soft { fill: #9198a1 }
    .ground { fill: #0d1117 }
    .band { fill: #151b23 }
    .grid { stroke: #3d444d }
    .one { stroke: #f0f6fc }
    .bare { fill: #58a6ff; stroke: #58a6ff }
    .default { fill: #3fb950; stroke: #3fb950 }
    .hooked { fill: #bc8cff; stroke: #bc8cff }
    .tokio { fill: #f0883e; stroke: #f0883e }
    .async-executor { fill: #9198a1; stroke: #9198a1 }
  }
";

/// A question as it is drawn.
struct Band<'a> {
    question: Question,
    figure: &'static Figure,
    measured: Measured<'a>,
}

/// Draws what was measured with so many workers. `None` if not everything was.
#[must_use]
pub fn chart(samples: &Samples, workers: usize) -> Option<String> {
    draw(samples, &charted(), workers)
}

fn draw(samples: &Samples, questions: &[Question], workers: usize) -> Option<String> {
    let bands = questions.iter().map(|question| {
        let figure = question.figures().first()?;
        Some(Band { question: *question, figure, measured: samples.find(*question, workers)? })
    });
    let bands = bands.collect::<Option<Vec<_>>>()?;
    let first = bands.first()?;
    let scale = Scale::around(bands.iter().flat_map(|band| band.values(workers)));
    let band_height = LANE * Row::ALL.len() as f64 + BAND_PADDING;
    let height = TOP + band_height * bands.len() as f64 + BOTTOM;
    let mut svg = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         role=\"img\" aria-labelledby=\"title\">\n\
         <title id=\"title\">{TITLE}</title>\n\
         <style>\n{STYLE}</style>\n\
         <rect class=\"ground\" width=\"{WIDTH}\" height=\"{height}\" rx=\"6\"/>"
    );
    draw_head(&mut svg, workers, &first.measured);
    for at in 0..bands.len() {
        let y = TOP + band_height * at as f64;
        if at % 2 == 0 {
            let _ = writeln!(
                svg,
                "<rect class=\"band\" x=\"0\" y=\"{y:.1}\" width=\"{WIDTH}\" height=\"{band_height:.1}\"/>"
            );
        }
    }
    draw_grid(&mut svg, &scale, height - BOTTOM);
    for (at, band) in bands.iter().enumerate() {
        band.draw(&mut svg, &scale, TOP + band_height * at as f64, workers);
    }
    let _ = writeln!(
        svg,
        "<text class=\"soft\" x=\"20\" y=\"{:.1}\">{}</text>\n</svg>",
        height - 12.0,
        escape(&format!(
            "{}; {}, {}",
            first.measured.origin.machine(),
            first.measured.origin.day,
            rounds(first.measured.rounds())
        ))
    );
    Some(svg)
}

/// The questions whose deciding figure can be compared. Starting a runtime is no operation, and
/// would squeeze all others.
pub(super) fn charted() -> Vec<Question> {
    let is_compared = |question: &Question| {
        *question != Question::StartStop && question.figures()[0].better.is_some()
    };
    Question::all().into_iter().filter(is_compared).collect()
}

fn draw_head(svg: &mut String, workers: usize, measured: &Measured<'_>) {
    let threads = if workers == 1 { "worker" } else { "workers" };
    let _ = writeln!(
        svg,
        "<text class=\"title\" x=\"20\" y=\"32\">{TITLE}</text>\n\
         <text class=\"soft\" x=\"20\" y=\"52\">{workers} {threads}; marks are medians, lines go \
         from quartile to quartile, bars are the budgets of the design; further left is better</text>"
    );
    let mut x = 20.0;
    for row in measured.rows() {
        draw_mark(svg, row, x + 6.0, 76.0);
        let _ = writeln!(svg, "<text x=\"{:.1}\" y=\"80\">{}</text>", x + 16.0, row.name());
        x += 46.0 + 7.0 * row.name().len() as f64;
    }
    let _ = writeln!(
        svg,
        "<path class=\"budget bare\" d=\"M{x:.1} 71V81\"/>\
         <path class=\"budget default\" d=\"M{:.1} 71V81\"/>\
         <text x=\"{:.1}\" y=\"80\">budget</text>",
        x + 5.0,
        x + 13.0
    );
}

fn draw_grid(svg: &mut String, scale: &Scale, bottom: f64) {
    for tick in TICKS.into_iter().filter(|tick| scale.shows(*tick)) {
        let x = scale.x(tick);
        let class = if tick == 1.0 { "one" } else { "grid" };
        let label = if tick == 1.0 { "best peer".to_owned() } else { format!("× {tick}") };
        let _ = writeln!(
            svg,
            "<path class=\"{class}\" d=\"M{x:.1} {TOP}V{bottom:.1}\"/>\
             <text class=\"soft\" x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>",
            TOP - 8.0
        );
    }
}

impl Band<'_> {
    /// All that has to find room on the scale.
    fn values(&self, workers: usize) -> Vec<f64> {
        let mut values = Vec::new();
        for row in self.measured.rows() {
            let spread = self.measured.ratio(row, self.figure.key);
            values.extend(spread.into_iter().flat_map(|spread| [spread.low, spread.high]));
            values.extend(self.budget(row, workers));
        }
        values
    }

    /// The budget of a row, as a multiple of the best peer.
    fn budget(&self, row: Row, workers: usize) -> Option<f64> {
        let budgets = budgets(self.question, row, workers).into_iter();
        let mut bounds = budgets.filter(|budget| budget.figure == self.figure.key);
        match bounds.next()?.bound {
            Bound::Times(most) => Some(most),
            Bound::Most(most) => Some(most / self.best()?),
            Bound::TimesAtLeast(_) | Bound::Least(_) => None,
        }
    }

    fn draw(&self, svg: &mut String, scale: &Scale, top: f64, workers: usize) {
        let middle = top + (LANE * Row::ALL.len() as f64 + BAND_PADDING) / 2.0;
        let _ = writeln!(
            svg,
            "<text class=\"name\" x=\"20\" y=\"{:.1}\">{}</text>\
             <text class=\"soft\" x=\"20\" y=\"{:.1}\">{}</text>",
            middle - 3.0,
            self.question.name(),
            middle + 13.0,
            escape(&self.best_in_words()),
        );
        for (at, row) in self.measured.rows().enumerate() {
            let y = top + BAND_PADDING / 2.0 + LANE * (at as f64 + 0.5);
            self.draw_lane(svg, scale, (row, y), workers);
        }
    }

    fn draw_lane(&self, svg: &mut String, scale: &Scale, (row, y): (Row, f64), workers: usize) {
        let class = row.name();
        if let Some(budget) = self.budget(row, workers) {
            let x = scale.x(budget);
            let (above, below) = (y - 5.0, y + 5.0);
            let _ = writeln!(
                svg,
                "<path class=\"budget {class}\" d=\"M{x:.1} {above:.1}V{below:.1}\"/>"
            );
        }
        let Some(spread) = self.measured.ratio(row, self.figure.key) else { return };
        let (low, high) = (scale.x(spread.low), scale.x(spread.high));
        let _ = writeln!(svg, "<path class=\"whisker {class}\" d=\"M{low:.1} {y:.1}H{high:.1}\"/>");
        draw_mark(svg, row, scale.x(spread.middle), y);
        let _ = writeln!(
            svg,
            "<text class=\"number {class}\" x=\"{NUMBERS_END}\" y=\"{:.1}\" \
             text-anchor=\"end\">× {}</text>",
            y + 4.0,
            number(spread.middle)
        );
    }

    /// What the best peer needs.
    fn best(&self) -> Option<f64> {
        let best = self.measured.best_peer(self.figure.key)?;
        self.measured.spread(best, self.figure.key).map(|spread| spread.middle)
    }

    fn best_in_words(&self) -> String {
        let words = |best| format!("best peer: {} {}", number(best), self.figure.head);
        self.best().map_or(String::new(), words)
    }
}

/// A mark of a shape of its own for each row, since not everybody sees all colours.
fn draw_mark(svg: &mut String, row: Row, x: f64, y: f64) {
    let class = row.name();
    let shape = match row {
        Row::Bare => {
            format!("<circle class=\"mark {class}\" cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"4\"/>")
        }
        Row::Default => {
            format!("<path class=\"mark {class}\" d=\"M{:.1} {y:.1}l5 -5 5 5 -5 5z\"/>", x - 5.0)
        }
        Row::Hooked => format!(
            "<path class=\"mark {class}\" d=\"M{:.1} {:.1}h9l-4.5 -8z\"/>",
            x - 4.5,
            y + 4.0
        ),
        Row::Tokio | Row::Smol => format!(
            "<rect class=\"mark {class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"7\" height=\"7\"/>",
            x - 3.5,
            y - 3.5
        ),
    };
    let _ = writeln!(svg, "{shape}");
}

/// Where on the picture a ratio is.
struct Scale {
    /// The logarithms of the ends.
    low: f64,
    high: f64,
}

impl Scale {
    /// From tick to tick, around all values, and around one.
    fn around(values: impl Iterator<Item = f64>) -> Scale {
        let (low, high) =
            values.fold((1.0_f64, 1.0_f64), |(low, high), value| (low.min(value), high.max(value)));
        let [smallest, .., largest] = TICKS;
        let low = TICKS.into_iter().rev().find(|tick| *tick <= low).unwrap_or(smallest);
        let high = TICKS.into_iter().find(|tick| *tick >= high).unwrap_or(largest);
        // Something has to be between the ends.
        Scale { low: low.min(0.5).ln(), high: high.max(2.0).ln() }
    }

    fn x(&self, ratio: f64) -> f64 {
        let part = (ratio.ln() - self.low) / (self.high - self.low);
        PLOT.0 + (PLOT.1 - PLOT.0) * part.clamp(0.0, 1.0)
    }

    fn shows(&self, ratio: f64) -> bool {
        // The ends are logarithms of ticks: an epsilon decides about their last bit.
        (self.low - 1e-9..=self.high + 1e-9).contains(&ratio.ln())
    }
}

/// Text as it may stand between tags.
fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::{PLOT, Scale, draw, escape};
    use crate::question::Question;
    use crate::report::samples::{Samples, tests::run};
    use crate::rows::Row;
    use crate::work::Work;

    #[test]
    fn the_scale_goes_from_tick_to_tick_and_puts_halves_and_doubles_equally_far() {
        let check = |values: &[f64], low: f64, high: f64| {
            let scale = Scale::around(values.iter().copied());
            let ends = [scale.low.exp(), scale.high.exp()];
            assert!((ends[0] - low).abs() < 1e-9 && (ends[1] - high).abs() < 1e-9, "{ends:?}");
        };
        check(&[0.3, 1.5], 0.2, 2.0);
        check(&[0.2, 3.0], 0.2, 5.0);
        check(&[1.0], 0.5, 2.0);
        check(&[0.001, 1000.0], 0.02, 100.0);
        let scale = Scale::around([0.1, 10.0].into_iter());
        assert!((scale.x(1.0) - (PLOT.0 + PLOT.1) / 2.0).abs() < 1e-9);
        assert!(((scale.x(1.0) - scale.x(0.5)) - (scale.x(2.0) - scale.x(1.0))).abs() < 1e-9);
        assert_eq!([scale.x(0.001), scale.x(1000.0)], [PLOT.0, PLOT.1]);
    }

    #[test]
    fn every_row_has_a_lane_with_mark_number_and_budget() {
        let mut samples = Samples::default();
        let answers = Row::ALL.map(|row| (row, if row.is_peer() { &[2.0][..] } else { &[1.0] }));
        let spawn = Question::Work(Work::SpawnJoin);
        run(&mut samples, spawn, 2, &answers);
        let svg = draw(&samples, &[spawn], 2).unwrap();
        for row in Row::ALL {
            let (name, ratio) = (row.name(), if row.is_peer() { "1.00" } else { "0.50" });
            let count = |what: &str| svg.matches(what).count();
            // One in the lane, one in the legend.
            assert_eq!(count(&format!("class=\"mark {name}\"")), 2, "{name}");
            assert_eq!(count(&format!("class=\"whisker {name}\"")), 1, "{name}");
            let number = format!("class=\"number {name}\"");
            let at = svg.find(&number).unwrap();
            assert!(svg[at..].split("</text>").next().unwrap().ends_with(ratio), "{name}");
        }
        assert_eq!(svg.matches("class=\"budget bare\"").count(), 2);
        assert_eq!(svg.matches("class=\"budget tokio\"").count(), 0);
        assert!(svg.contains("best peer: 2.00 ns/op"));
        assert_eq!(draw(&samples, &[spawn], 1), None);
        assert_eq!(draw(&samples, &[spawn, Question::IdleMemory], 2), None);
    }

    #[test]
    fn text_cannot_be_taken_for_a_tag() {
        assert_eq!(escape("A & B <c>"), "A &amp; B &lt;c&gt;");
    }
}
