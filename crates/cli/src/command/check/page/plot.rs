//! Plots as SVG that stands in the page: widths in percent and texts in pixels, so that they fit any screen.

use std::collections::BTreeMap;

use tunewise_data::quality::excerpt::masked;

use super::escaped;
use crate::number::{counted, grouped};

/// Pixels from one bar to the next.
const BAR_STEP: usize = 24;
/// Characters of a bar's name at most.
const NAME: usize = 36;
/// Bins of a histogram, or one more.
const BINS: usize = 24;
/// Pixels above the highest bin, and down to the line on which bins stand.
const TOP: usize = 20;
const BASE: usize = 160;

/// A bar: what it is of, how it is coloured, and how long it is.
pub struct Bar {
    /// What it is of.
    pub name: String,
    /// Its class in the style sheet.
    pub class: &'static str,
    /// What its length stands for.
    pub count: usize,
}

impl Bar {
    /// The beginning of the name, its secrets hidden: a label may be any text.
    fn shown(&self) -> String {
        let name = masked(&self.name);
        match name.char_indices().nth(NAME) {
            Some((end, _)) => format!("{}…", &name[..end]),
            None => name,
        }
    }

    fn drawn(&self, at: usize, most: usize) -> String {
        let Bar { class, count, .. } = self;
        let top = at * BAR_STEP;
        format!(
            "<g><title>{name}: {number}</title><text x=\"0\" y=\"{text}\">{name}</text>\
             <text class=\"end\" x=\"100%\" y=\"{text}\">{number}</text>\
             <rect class=\"{class}\" x=\"0\" y=\"{bar}\" width=\"{width:.2}%\" height=\"4\"/></g>\n",
            name = escaped(&self.shown()),
            number = grouped(*count),
            text = top + 12,
            bar = top + 16,
            width = percent(*count, most),
        )
    }
}

/// Bars one below another, each under its name and count; nothing where there are none.
pub fn bars(title: &str, bars: &[Bar]) -> String {
    let most = bars.iter().map(|bar| bar.count).max().unwrap_or(0);
    if bars.is_empty() {
        return String::new();
    }
    let drawn: String = bars.iter().enumerate().map(|(at, bar)| bar.drawn(at, most)).collect();
    let told = bars.iter().map(|bar| format!("{} {}", bar.shown(), grouped(bar.count)));
    figure(title, bars.len() * BAR_STEP, &told.collect::<Vec<String>>().join(", "), &drawn)
}

/// How many rows there are of lengths in equal steps; nothing where there are no rows.
pub fn histogram(title: &str, lengths: &BTreeMap<usize, usize>) -> String {
    let bins = bins(lengths);
    let (Some(first), Some(last)) = (bins.first(), bins.last()) else { return String::new() };
    let most = bins.iter().map(|bin| bin.count).max().unwrap_or(0);
    let width = 100.0 / bins.len() as f64;
    let drawn = bins.iter().enumerate().map(|(at, bin)| bin.drawn(at as f64 * width, width, most));
    let told: Vec<String> =
        bins.iter().map(|bin| format!("{}: {}", bin.name(), grouped(bin.count))).collect();
    let end = match last.to {
        Some(to) => grouped(to),
        None => last.name(),
    };
    let axis = format!(
        "<line x1=\"0\" x2=\"100%\" y1=\"{BASE}\" y2=\"{BASE}\"/>\
         <text class=\"end\" x=\"100%\" y=\"12\">highest: {highest}</text>\
         <text x=\"0\" y=\"{labels}\">{start}</text>\
         <text class=\"end\" x=\"100%\" y=\"{labels}\">{end}</text>\n",
        highest = counted(most, "row"),
        labels = BASE + 16,
        start = grouped(first.from),
    );
    let inner = drawn.collect::<String>() + &axis;
    figure(title, BASE + BAR_STEP, &told.join(", "), &inner)
}

/// Rows whose length is in a range.
#[derive(Debug, PartialEq)]
struct Bin {
    from: usize,
    /// The last length; `None` for all that are longer.
    to: Option<usize>,
    count: usize,
}

impl Bin {
    fn name(&self) -> String {
        match self.to {
            Some(to) if to == self.from => grouped(to),
            Some(to) => format!("{}–{}", grouped(self.from), grouped(to)),
            None => format!("{} and more", grouped(self.from)),
        }
    }

    fn drawn(&self, left: f64, width: f64, most: usize) -> String {
        let height = percent(self.count, most) / 100.0 * (BASE - TOP) as f64;
        format!(
            "<g><title>{name}: {rows}</title>\
             <rect class=\"plain\" x=\"{left:.2}%\" y=\"{top:.1}\" width=\"{width:.2}%\" height=\"{height:.1}\"/></g>\n",
            name = self.name(),
            rows = counted(self.count, "row"),
            top = BASE as f64 - height,
            // A gap between the bins.
            width = 0.86 * width,
        )
    }
}

/// Bins of a round width up to the length that 99 of 100 rows do not exceed; longer rows are in the last.
fn bins(lengths: &BTreeMap<usize, usize>) -> Vec<Bin> {
    let rows: usize = lengths.values().sum();
    let mut below = 0;
    let reaches = |(_, count): &(&usize, &usize)| {
        below += **count;
        below >= rows - rows / 100
    };
    let ends = (lengths.keys().next(), lengths.iter().find(reaches), lengths.keys().next_back());
    let (Some(low), Some((high, _)), Some(longest)) = ends else { return Vec::new() };
    let step = round((high - low + 1).div_ceil(BINS));
    let starts = (low / step..=high / step).map(|number| number * step);
    let bin = |from: usize| {
        let next = from + step;
        match *high < next && *longest >= next {
            true => {
                Bin { from, to: None, count: lengths.range(from..).map(|(_, rows)| rows).sum() }
            }
            false => {
                let count = lengths.range(from..next).map(|(_, rows)| rows).sum();
                Bin { from, to: Some(next - 1), count }
            }
        }
    };
    starts.map(bin).collect()
}

/// The smallest of 1, 2, 5, 10, 20, 50 and so on that is as large.
fn round(least: usize) -> usize {
    let mut power = 1;
    while 5 * power < least {
        power *= 10;
    }
    [power, 2 * power, 5 * power].into_iter().find(|step| *step >= least).unwrap_or(least)
}

/// The share in percent, but enough to be seen where there is any.
fn percent(count: usize, most: usize) -> f64 {
    match count {
        0 => 0.0,
        _ => (100.0 * count as f64 / most.max(1) as f64).max(0.5),
    }
}

fn figure(title: &str, height: usize, told: &str, inner: &str) -> String {
    let (title, told) = (escaped(title), escaped(told));
    format!(
        "<figure>\n<figcaption>{title}</figcaption>\n\
         <svg role=\"img\" aria-label=\"{title}: {told}\" width=\"100%\" height=\"{height}\">\n\
         {inner}</svg>\n</figure>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(lengths: impl IntoIterator<Item = usize>) -> BTreeMap<usize, usize> {
        let mut rows: BTreeMap<usize, usize> = BTreeMap::new();
        lengths.into_iter().for_each(|length| *rows.entry(length).or_default() += 1);
        rows
    }

    #[test]
    fn steps_are_round_numbers() {
        assert_eq!([1, 2, 3, 6, 11, 21, 51, 500].map(round), [1, 2, 5, 10, 20, 50, 100, 500]);
    }

    #[test]
    fn every_row_is_in_one_bin_and_the_longest_are_in_the_last() {
        let found = bins(&of((1..=300).chain([9000, 10_000])));
        assert_eq!(found.len(), 15);
        assert_eq!(found.iter().map(|bin| bin.count).sum::<usize>(), 302);
        assert_eq!(found.first(), Some(&Bin { from: 0, to: Some(19), count: 19 }));
        assert_eq!(found.last(), Some(&Bin { from: 280, to: None, count: 23 }));
        assert_eq!(found.last().map(Bin::name), Some("280 and more".to_owned()));
    }

    #[test]
    fn rows_of_one_length_are_one_bin_and_no_rows_are_none() {
        assert_eq!(bins(&of([7, 7])), [Bin { from: 7, to: Some(7), count: 2 }]);
        assert_eq!(histogram("Lengths", &BTreeMap::new()), "");
        assert_eq!(bars("Findings", &[]), "");
    }

    #[test]
    fn names_are_cut_and_escaped_and_their_secrets_hidden_wherever_they_stand() {
        let bar = |name: &str| Bar { name: name.to_owned(), class: "note", count: 1234 };
        let drawn = bars("Labels", &[bar(&"<b>".repeat(20)), bar("jane.doe@mail.com")]);
        let name = "&lt;b&gt;".repeat(12) + "…";
        for told in [
            format!("<title>{name}: 1,234</title>"),
            format!(">{name}</text>"),
            format!("\"Labels: {name} 1,234, ⟨e-mail address: jane…⟩ 1,234\""),
        ] {
            assert_eq!(drawn.matches(&told).count(), 1, "{told} in {drawn}");
        }
        assert!(!drawn.contains("<b>") && !drawn.contains("jane.doe"), "{drawn}");
    }
}
