//! Charts as pictures in the page (SVG): bars with their values, a light grid, and nothing else.
//!
//! The page's style sheet colours them, for a picture cannot know whether the reader looks at it in the dark: what
//! stands in the SVG is overruled by `.chart rect`, `.chart text` and the like. No style stands in it, which the
//! content security policy would refuse. The same numbers stand in a table below each chart.

use askama::filters::{Escaper as _, Html};
use patron_core::{Error, Result};
use plotters::element::{EmptyElement, Rectangle, Text};
use plotters::prelude::{
    BLACK, ChartBuilder, Color as _, DrawingArea, FontFamily, IntoDrawingArea as _, IntoFont as _,
    IntoSegmentedCoord as _, IntoTextStyle as _, RGBColor, SVGBackend, SegmentValue, TRANSPARENT, TextStyle,
};
use plotters::style::FontTransform;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use unicode_width::UnicodeWidthChar as _;

/// Width of a chart in its own unit; on the page it is as wide as its place.
const WIDTH: u32 = 420;
/// Height of a chart of upright bars.
const HEIGHT: u32 = 220;
/// Height of a lying bar, with what is between two of them.
const ROW: u32 = 28;
/// Space on each side of a lying bar.
const GAP: u32 = 5;
/// Space for the labels of the lying bars.
const LABELS: u32 = 140;
/// Space for the numbers of the grid, and for the labels of the upright bars.
const SCALE: u32 = 26;
/// Space for the numbers at the left of upright bars.
const SCALE_LEFT: u32 = 40;
/// Size of the letters.
const LETTERS: i32 = 16;
/// Space for a label, in tenths of the letters' size on the page.
const LABEL_TENTHS: usize = 106;
/// Space at the end of a scale, for half of its last number.
const MARGIN: u32 = 12;
/// Lines of the grid.
const GRID_LINES: usize = 4;
/// Every which upright bar has its label.
const LABEL_EVERY: usize = 5;
/// Signs of a number that fits above an upright bar; longer ones stand on their side.
const VALUE_SIGNS: usize = 2;

/// What is overruled by the style sheet; where that is missing, it is readable on white.
const BAR: RGBColor = RGBColor(52, 67, 204);
const GRID: RGBColor = RGBColor(214, 218, 227);

/// One bar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// What it is of.
    pub label: String,
    /// How long it is.
    pub value: u64,
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// Lying bars, the first one on top. `id` names the chart in its page, `title` is what readers who cannot see it are
/// told.
///
/// # Errors
/// Internal when the picture cannot be drawn, which nothing known makes happen.
pub fn lying(id: &str, title: &str, bars: &[Bar]) -> Result<String> {
    let count = u32::try_from(bars.len()).map_err(Error::internal)?;
    let size = (WIDTH, count * ROW + SCALE);
    drawn(id, title, size, |area| draw_lying(area, bars).map_err(|error| Error::internal(error.to_string())))
}

/// Upright bars, the first one at the left, of which every fifth has its label.
///
/// # Errors
/// As [`lying`].
pub fn upright(id: &str, title: &str, bars: &[Bar]) -> Result<String> {
    let draw = |area: &Area<'_>| draw_upright(area, bars).map_err(|error| Error::internal(error.to_string()));
    drawn(id, title, (WIDTH, HEIGHT), draw)
}

fn drawn(
    id: &str,
    title: &str,
    size: (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Result<()>,
) -> Result<String> {
    let mut picture = String::new();
    {
        let area = SVGBackend::with_string(&mut picture, size).into_drawing_area();
        draw(&area)?;
        area.present().map_err(|error| Error::internal(error.to_string()))?;
    }
    // The element itself is ours: its size is the page's matter, and it has a name.
    let (_, inside) =
        picture.split_once('>').ok_or_else(|| Error::internal("a picture without an element"))?;
    let (width, height) = size;
    let mut text = format!(
        "<svg class=\"chart\" viewBox=\"0 0 {width} {height}\" xmlns=\"http://www.w3.org/2000/svg\" role=\"img\" \
         aria-labelledby=\"{id}-title\"><title id=\"{id}-title\">"
    );
    Html.write_escaped_str(&mut text, title).map_err(Error::internal)?;
    text.push_str("</title>");
    text.push_str(inside);
    Ok(text)
}

type Drawing = Result<(), Box<dyn std::error::Error + Send + Sync>>;

fn letters() -> TextStyle<'static> {
    (FontFamily::SansSerif, LETTERS).into_font().color(&BLACK)
}

/// The style of the values at the bars, which the style sheet knows by its weight.
fn values(anchor: Pos) -> TextStyle<'static> {
    let font = (FontFamily::SansSerif, LETTERS, plotters::style::FontStyle::Bold);
    font.into_text_style(&(WIDTH, HEIGHT)).color(&BLACK).pos(anchor)
}

/// The end of the scale: the longest bar, and room behind it for its value.
fn end(bars: &[Bar]) -> u64 {
    let longest = bars.iter().map(|bar| bar.value).max().unwrap_or_default().max(1);
    longest.saturating_add(longest.div_ceil(6))
}

fn draw_lying(area: &Area<'_>, bars: &[Bar]) -> Drawing {
    // The scale of the rows begins at the bottom, and has its end in it.
    let rows: Vec<&Bar> = bars.iter().rev().collect();
    let Some(last) = rows.len().checked_sub(1) else { return Ok(()) };
    let mut chart = ChartBuilder::on(area)
        .margin_right(MARGIN)
        .set_label_area_size(plotters::chart::LabelAreaPosition::Left, LABELS)
        .set_label_area_size(plotters::chart::LabelAreaPosition::Bottom, SCALE)
        .build_cartesian_2d(0..end(bars), (0..last).into_segmented())?;
    let label = |row: &SegmentValue<usize>| match row {
        SegmentValue::CenterOf(row) => rows.get(*row).map_or_else(String::new, |bar| shortened(&bar.label)),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .max_light_lines(1)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(TRANSPARENT)
        .label_style(letters())
        .x_labels(GRID_LINES)
        .x_label_formatter(&|value| short_number(*value))
        .y_labels(rows.len())
        .y_label_formatter(&label)
        .draw()?;
    chart.draw_series(rows.iter().enumerate().map(|(row, bar)| {
        let corners = [(0, SegmentValue::Exact(row)), (bar.value, SegmentValue::Exact(row + 1))];
        let mut bar = Rectangle::new(corners, BAR.filled());
        bar.set_margin(GAP, GAP, 0, 0);
        bar
    }))?;
    let style = values(Pos::new(HPos::Left, VPos::Center));
    chart.draw_series(rows.iter().enumerate().map(|(row, bar)| {
        EmptyElement::at((bar.value, SegmentValue::CenterOf(row)))
            + Text::new(short_number(bar.value), (6, 0), style.clone())
    }))?;
    Ok(())
}

fn draw_upright(area: &Area<'_>, bars: &[Bar]) -> Drawing {
    let Some(last) = bars.len().checked_sub(1) else { return Ok(()) };
    let mut chart = ChartBuilder::on(area)
        .set_label_area_size(plotters::chart::LabelAreaPosition::Left, SCALE_LEFT)
        .set_label_area_size(plotters::chart::LabelAreaPosition::Bottom, SCALE)
        .margin_right(MARGIN)
        .margin_top(MARGIN)
        .build_cartesian_2d((0..last).into_segmented(), 0..end(bars))?;
    let label = |column: &SegmentValue<usize>| match column {
        SegmentValue::CenterOf(column) if column % LABEL_EVERY == 0 => {
            bars.get(*column).map_or_else(String::new, |bar| shortened(&bar.label))
        }
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .max_light_lines(1)
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(TRANSPARENT)
        .label_style(letters())
        .x_labels(bars.len())
        .x_label_formatter(&label)
        .y_labels(GRID_LINES)
        .y_label_formatter(&|value| short_number(*value))
        .draw()?;
    chart.draw_series(bars.iter().enumerate().map(|(column, bar)| {
        let corners = [(SegmentValue::Exact(column), 0), (SegmentValue::Exact(column + 1), bar.value)];
        let mut bar = Rectangle::new(corners, BAR.filled());
        bar.set_margin(0, 0, 2, 2);
        bar
    }))?;
    // A nought has no bar, and 26 of them would be but noise.
    let some: Vec<(usize, u64, String)> = bars
        .iter()
        .enumerate()
        .filter(|(_, bar)| bar.value > 0)
        .map(|(column, bar)| (column, bar.value, short_number(bar.value)))
        .collect();
    let style = if some.iter().any(|(_, _, text)| text.len() > VALUE_SIGNS) {
        values(Pos::new(HPos::Left, VPos::Center)).transform(FontTransform::Rotate270)
    } else {
        values(Pos::new(HPos::Center, VPos::Bottom))
    };
    chart.draw_series(some.into_iter().map(|(column, value, text)| {
        EmptyElement::at((SegmentValue::CenterOf(column), value)) + Text::new(text, (0, -3), style.clone())
    }))?;
    Ok(())
}

/// A label that fits its place; the table below has the whole.
fn shortened(label: &str) -> String {
    if label.chars().map(tenths).sum::<usize>() <= LABEL_TENTHS {
        return label.to_owned();
    }
    let mut left = LABEL_TENTHS - tenths('…');
    let fits = |letter: &char| match left.checked_sub(tenths(*letter)) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    let mut short: String = label.chars().take_while(fits).collect();
    short.push('…');
    short
}

/// How wide a letter is, in tenths of the letters' size, in the widest of the common typefaces without serifs: which
/// one a reader has is not known here.
fn tenths(letter: char) -> usize {
    match letter {
        ' ' | '!' | '\'' | '(' | ')' | ',' | '-' | '.' | '/' | ':' | ';' | 'I' | '[' | ']' | 'f' | 'i'
        | 'j' | 'l' | 'r' | 't' | '|' => 4,
        '%' | '@' | 'M' | 'W' | 'm' | 'w' | '…' => 10,
        '#' | '&' | '+' | '<'..='>' | 'A'..='Z' => 8,
        other => match other.width() {
            Some(2) => 10,
            Some(1) => 6,
            _ => 0,
        },
    }
}

/// A number of at most four signs where there are many of them: `950`, `1.2k`, `87k`, `2.3M`.
fn short_number(value: u64) -> String {
    let (unit, sign) = match value {
        0..1_000 => return value.to_string(),
        1_000..1_000_000 => (1_000, 'k'),
        _ => (1_000_000, 'M'),
    };
    let (whole, tenth) = (value / unit, value % unit * 10 / unit);
    if whole < 10 && tenth > 0 { format!("{whole}.{tenth}{sign}") } else { format!("{whole}{sign}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars(values: &[(&str, u64)]) -> Vec<Bar> {
        values.iter().map(|&(label, value)| Bar { label: label.to_owned(), value }).collect()
    }

    /// What stands in the picture's texts, in their order.
    fn texts(picture: &str) -> Vec<String> {
        let document = roxmltree::Document::parse(picture).unwrap();
        let texts = document.descendants().filter(|node| node.has_tag_name("text"));
        texts.map(|node| node.text().unwrap_or_default().trim().to_owned()).collect()
    }

    /// The extent of each bar: width and height.
    fn extents(picture: &str) -> Vec<(i64, i64)> {
        let document = roxmltree::Document::parse(picture).unwrap();
        let number =
            |node: &roxmltree::Node<'_, '_>, name: &str| node.attribute(name).unwrap().parse().unwrap();
        let rects = document.descendants().filter(|node| node.has_tag_name("rect"));
        rects.map(|node| (number(&node, "width"), number(&node, "height"))).collect()
    }

    #[test]
    fn a_chart_is_xml_without_style_or_script() {
        let all = bars(&[("<script>alert(1)</script>", 3), ("a & \"b\" 'c'", 0), ("]]>", 7)]);
        for picture in [lying("uses", "<b>&\"'", &all).unwrap(), upright("uses", "<b>&\"'", &all).unwrap()] {
            let document = roxmltree::Document::parse(&picture).unwrap();
            let root = document.root_element();
            assert_eq!((root.attribute("role"), root.attribute("class")), (Some("img"), Some("chart")));
            let title = root.first_element_child().unwrap();
            assert_eq!((title.tag_name().name(), title.text()), ("title", Some("<b>&\"'")));
            assert_eq!(root.attribute("aria-labelledby"), title.attribute("id"));
            for node in document.descendants().filter(roxmltree::Node::is_element) {
                assert!(
                    ["svg", "title", "rect", "text", "line", "polyline"].contains(&node.tag_name().name())
                );
                for attribute in node.attributes() {
                    let name = attribute.name();
                    assert!(name != "style" && name != "href" && !name.starts_with("on"), "{name}");
                }
            }
        }
    }

    #[test]
    fn bars_are_as_long_as_their_values_and_say_them() {
        let all = bars(&[("first", 10), ("second", 5), ("third", 0)]);
        let picture = lying("uses", "Uses", &all).unwrap();
        let widths: Vec<_> = extents(&picture).iter().map(|(width, _)| *width).collect();
        assert!(widths[0] == 0 && (widths[2] - 2 * widths[1]).abs() <= 1 && widths[2] > 200, "{widths:?}");
        let all_texts = texts(&picture);
        for text in ["first", "second", "third", "10", "5", "0"] {
            assert!(all_texts.contains(&text.to_owned()), "{text} in {all_texts:?}");
        }
        let picture = upright("weeks", "Weeks", &all).unwrap();
        let heights: Vec<_> = extents(&picture).iter().map(|(_, height)| *height).collect();
        assert!(
            (heights[0] - 2 * heights[1]).abs() <= 1 && heights[2] == 0 && heights[0] > 120,
            "{heights:?}"
        );
        assert!(!picture.contains("rotate("), "short numbers stand upright");
        let long = bars(&[("first", 100), ("second", 1)]);
        assert!(upright("weeks", "Weeks", &long).unwrap().contains("rotate(270"));
    }

    #[test]
    fn there_may_be_nothing_and_very_much() {
        for picture in [lying("a", "A", &[]).unwrap(), upright("a", "A", &[]).unwrap()] {
            assert_eq!(texts(&picture), [""; 0]);
        }
        for all in [bars(&[("none", 0)]), bars(&[("all", u64::from(u32::MAX)), ("one", 1)])] {
            assert!(texts(&lying("a", "A", &all).unwrap()).len() > 2);
            assert!(texts(&upright("a", "A", &all).unwrap()).len() > 2);
        }
    }

    #[test]
    fn long_labels_and_numbers_are_shortened() {
        assert_eq!(shortened("Jane Doe"), "Jane Doe");
        assert_eq!(shortened(&"x".repeat(17)), "x".repeat(17));
        assert_eq!(shortened(&"x".repeat(18)), format!("{}…", "x".repeat(16)));
        assert_eq!(shortened(&"漢".repeat(11)), format!("{}…", "漢".repeat(9)));
        assert_eq!(shortened(&"W".repeat(255)), format!("{}…", "W".repeat(9)));
        for (number, text) in
            [(0, "0"), (999, "999"), (1_000, "1k"), (1_250, "1.2k"), (99_999, "99k"), (2_300_000, "2.3M")]
        {
            assert_eq!(short_number(number), text);
        }
    }
}
