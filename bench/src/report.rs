//! What was measured, as tables with a verdict a row.

use std::fmt::{self, Write as _};

/// What one side of a comparison did.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Rate {
    /// Answers a second, as the clock shows them.
    pub(crate) by_clock: f64,
    /// Answers a second of CPU time that the server used: what it would do with a core to itself.
    pub(crate) by_core: f64,
}

/// Patron beside what it is measured against, several rounds in turn.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pair {
    pub(crate) patron: Vec<Rate>,
    pub(crate) other: Vec<Rate>,
}

/// By which rate two are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// Where the server's core is what there is least of.
    Core,
    /// Where something else is: the disk.
    Clock,
}

/// A ratio of every round, of which the middle one counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Pair {
    pub(crate) fn ratio(&self, by: By) -> Ratio {
        let rate = |rate: &Rate| if by == By::Core { rate.by_core } else { rate.by_clock };
        let mut ratios: Vec<f64> =
            self.patron.iter().zip(&self.other).map(|(one, other)| rate(one) / rate(other)).collect();
        ratios.sort_by(f64::total_cmp);
        let end = |ratio: Option<&f64>| ratio.copied().unwrap_or(f64::NAN);
        Ratio { median: median(&ratios), least: end(ratios.first()), most: end(ratios.last()) }
    }
}

/// The middle of what is there.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => values[count / 2],
        count => f64::midpoint(values[count / 2 - 1], values[count / 2]),
    }
}

/// A line of a table: what was found against what is asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    cells: Vec<String>,
    pub(crate) reached: bool,
}

/// A table.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) title: &'static str,
    columns: &'static [&'static str],
    lines: Vec<Line>,
}

impl Table {
    pub(crate) fn of_ratios() -> Self {
        let columns = &[
            "path",
            "against",
            "Patron, a second",
            "of CPU",
            "the other, a second",
            "of CPU",
            "ratio (rounds)",
            "asked",
            "",
        ];
        Self { title: "Against ceilings, in one run", columns, lines: Vec::new() }
    }

    pub(crate) fn of_growth() -> Self {
        Self { title: "Growth", columns: &["what", "found", "asked", ""], lines: Vec::new() }
    }

    /// Two sides, compared.
    pub(crate) fn compare(&mut self, path: &str, against: &str, pair: &Pair, by: By, least: f64) {
        let rates = |rates: &[Rate]| {
            let each = |of: fn(&Rate) -> f64| thousands(median(&rates.iter().map(of).collect::<Vec<_>>()));
            [each(|rate| rate.by_clock), each(|rate| rate.by_core)]
        };
        let Ratio { median, least: low, most } = pair.ratio(by);
        let mut cells = vec![path.to_owned(), against.to_owned()];
        cells.extend(rates(&pair.patron));
        cells.extend(rates(&pair.other));
        cells.push(format!("{median:.2} ({low:.2}–{most:.2})"));
        cells.push(format!("{least:.2}"));
        self.add(cells, median >= least);
    }

    /// A number, and what it is to be.
    pub(crate) fn tell(&mut self, what: &str, found: String, asked: &str, reached: bool) {
        self.add(vec![what.to_owned(), found, asked.to_owned()], reached);
    }

    fn add(&mut self, mut cells: Vec<String>, reached: bool) {
        cells.push(if reached { "reached" } else { "**missed**" }.to_owned());
        let line = Line { cells, reached };
        println!("{}", row(&line.cells));
        self.lines.push(line);
    }

    pub(crate) fn missed(&self) -> usize {
        self.lines.iter().filter(|line| !line.reached).count()
    }
}

fn row(cells: &[String]) -> String {
    format!("| {} |", cells.join(" | "))
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.lines.is_empty() {
            return Ok(());
        }
        let columns: Vec<String> = self.columns.iter().map(|&column| column.to_owned()).collect();
        writeln!(f, "## {}\n\n{}", self.title, row(&columns))?;
        writeln!(f, "|{}", "---|".repeat(columns.len()))?;
        for line in &self.lines {
            writeln!(f, "{}", row(&line.cells))?;
        }
        Ok(())
    }
}

/// A whole number with commas.
pub(crate) fn thousands(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Megabytes.
pub(crate) fn megabytes(bytes: u64) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(text, "{} MB", bytes.div_ceil(1_000_000));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_round_counts() {
        let rate = |by_core| Rate { by_clock: 1.0, by_core };
        let pair = Pair {
            patron: [80.0, 90.0, 10.0].map(rate).to_vec(),
            other: [100.0, 100.0, 100.0].map(rate).to_vec(),
        };
        assert_eq!(pair.ratio(By::Core), Ratio { median: 0.8, least: 0.1, most: 0.9 });
        let mut table = Table::of_ratios();
        table.compare("exchange", "nothing", &pair, By::Core, 0.8);
        table.compare("exchange", "nothing", &pair, By::Core, 0.81);
        assert_eq!(table.missed(), 1);
        assert!(table.to_string().contains("| 0.80 (0.10–0.90) | 0.81 | **missed** |"), "{table}");
    }

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([0.4, 999.0, 1_000.0, 1_234_567.0].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert!((median(&[4.0, 1.0]) - 2.5).abs() < 1e-9);
    }
}
