//! Charts as inline SVG, drawn in the colours of the page.

use std::fmt::Write;

/// Size of the plot and its margins, in SVG units.
const WIDTH: f64 = 480.0;
const HEIGHT: f64 = 180.0;
const LEFT: f64 = 52.0;
const BOTTOM: f64 = 24.0;
const TOP: f64 = 10.0;

/// Escapes `&`, `<`, `>` and quotes for HTML.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

/// A whole number with thin spaces between groups of three digits.
pub(super) fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push('\u{202f}');
        }
        out.push(digit);
    }
    out
}

/// A bar chart of labelled counts; as many bars have their label as there is room for.
pub(super) fn bars(title: &str, bars: &[(String, u64)]) -> String {
    let most = bars.iter().map(|b| b.1).max().unwrap_or(0).max(1);
    let top = rounded_up(most);
    let mut out = open(title);
    for step in 0..=4 {
        let value = top * step / 4;
        if step == 0 || top.is_multiple_of(4) || step == 4 {
            grid(&mut out, HEIGHT * (1.0 - value as f64 / top as f64), &grouped(value));
        }
    }
    let slot = WIDTH / bars.len().max(1) as f64;
    let longest = bars.iter().map(|b| b.0.chars().count()).max().unwrap_or(0);
    let every = ((longest as f64 * 7.0 + 14.0) / slot).ceil().max(1.0) as usize;
    for (i, (label, value)) in bars.iter().enumerate() {
        let height = HEIGHT * *value as f64 / top as f64;
        let (x, y) = (LEFT + slot * i as f64, TOP + HEIGHT - height);
        let (gap, label) = (if slot > 6.0 { slot * 0.14 } else { 0.5 }, escape(label));
        _ = write!(
            out,
            "<rect x='{:.1}' y='{y:.1}' width='{:.1}' height='{height:.1}' rx='{}'><title>{label}: {}</title></rect>",
            x + gap / 2.0,
            slot - gap,
            if slot > 12.0 { 3 } else { 0 },
            grouped(*value)
        );
        if i % every == every / 2 {
            _ = write!(out, "<text x='{:.1}' y='{:.1}' class='x'>{label}</text>", x + slot / 2.0, TOP + HEIGHT + 17.0);
        }
    }
    out + "</svg>"
}

/// A curve of counts by rank, with both axes in powers of ten.
pub(super) fn ranks(title: &str, counts: &[u64]) -> String {
    let log = |x: f64| libm::log10(x.max(1.0));
    let (width, height) =
        (log(counts.len() as f64).max(0.1), log(rounded_up(counts.first().copied().unwrap_or(1)) as f64).max(0.1));
    let x = |rank: f64| LEFT + WIDTH * log(rank) / width;
    let mut out = open(title);
    for power in 0..=height as u32 {
        grid(&mut out, HEIGHT * (1.0 - f64::from(power) / height), &grouped(10_u64.pow(power)));
    }
    for power in 0..=width as u32 {
        let rank = 10_u64.pow(power);
        _ = write!(out, "<text x='{:.1}' y='{:.1}' class='x'>{}</text>", x(rank as f64), TOP + HEIGHT + 17.0, grouped(rank));
    }
    // Points at even distances on the logarithmic axis are enough for a smooth curve.
    let mut points: Vec<usize> = (0..=160).map(|i| libm::round(libm::exp10(width * f64::from(i) / 160.0)) as usize).collect();
    points.dedup();
    let mut path = String::new();
    for rank in points.into_iter().filter(|rank| (1..=counts.len()).contains(rank)) {
        let y = TOP + HEIGHT * (1.0 - log(counts[rank - 1] as f64) / height);
        _ = write!(path, "{}{:.1},{y:.1}", if path.is_empty() { "M" } else { "L" }, x(rank as f64));
    }
    out + &format!("<path d='{path}'/></svg>")
}

/// A line over steps; the vertical axis starts at the smallest value.
pub(super) fn line(title: &str, values: &[f64]) -> String {
    let (low, high) = values.iter().fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(*x), high.max(*x)));
    let range = (high - low).max(1e-9);
    let mut out = open(title);
    if values.is_empty() {
        return out + "</svg>";
    }
    for step in 0..=4 {
        let share = f64::from(step) / 4.0;
        grid(&mut out, HEIGHT * (1.0 - share), &format!("{:.3}", low + share * range));
    }
    let x = |i: usize| LEFT + WIDTH * i as f64 / (values.len() - 1).max(1) as f64;
    let point = |(i, value): (usize, &f64)| {
        format!("{}{:.1},{:.1}", if i == 0 { "M" } else { "L" }, x(i), TOP + HEIGHT * (1.0 - (value - low) / range))
    };
    let path: String = values.iter().enumerate().map(point).collect();
    for i in [0, values.len() / 2, values.len() - 1] {
        _ = write!(out, "<text x='{:.1}' y='{:.1}' class='x'>{}</text>", x(i), TOP + HEIGHT + 17.0, i + 1);
    }
    out + &format!("<path d='{path}'/></svg>")
}

/// A labelled point of a curve.
pub(super) struct Point {
    pub x: f64,
    pub y: f64,
    pub label: String,
}

/// A line through points in their order; the axes start at the smallest values.
pub(super) fn curve(title: &str, points: &[Point]) -> String {
    let ends =
        |pick: fn(&Point) -> f64| points.iter().map(pick).fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(x), high.max(x)));
    let mut out = open(title);
    if points.is_empty() {
        return out + "</svg>";
    }
    let ((left, right), (low, high)) = (ends(|p| p.x), ends(|p| p.y));
    let (width, height) = ((right - left).max(1e-9), (high - low).max(1e-9));
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        grid(&mut out, HEIGHT * (1.0 - share), &format!("{:.3}", low + share * height));
        let (x, y) = (LEFT + WIDTH * share, TOP + HEIGHT + 17.0);
        _ = write!(out, "<text x='{x:.1}' y='{y:.1}' class='x'>{:.2}</text>", left + share * width);
    }
    let at = |x: f64, y: f64| (LEFT + WIDTH * (x - left) / width, TOP + HEIGHT * (1.0 - (y - low) / height));
    let (mut path, mut marks) = (String::new(), String::new());
    for Point { x, y, label } in points {
        let ((x, y), label) = (at(*x, *y), escape(label));
        _ = write!(path, "{}{x:.1},{y:.1}", if path.is_empty() { "M" } else { "L" });
        _ = write!(marks, "<circle cx='{x:.1}' cy='{y:.1}' r='4'><title>{label}</title></circle>");
        _ = write!(marks, "<text x='{x:.1}' y='{:.1}' class='x'>{label}</text>", y - 9.0);
    }
    out + &format!("<path d='{path}'/>{marks}</svg>")
}

/// A named curve with its intervals: mean, lower and upper end of each step.
pub(super) struct Series<'a> {
    pub name: &'a str,
    pub points: Vec<[f64; 3]>,
}

/// Several curves over steps in one plot, each with the band of its intervals, and their names below. The page has five
/// colours.
pub(super) fn lines(title: &str, series: &[Series]) -> String {
    let all = || series.iter().flat_map(|s| s.points.iter().flatten());
    let (low, high) = all().fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(*x), high.max(*x)));
    let (steps, range) = (series.iter().map(|s| s.points.len()).max().unwrap_or(0), (high - low).max(1e-9));
    let mut out = open(title);
    if steps == 0 {
        return out + "</svg>";
    }
    for step in 0..=4 {
        let share = f64::from(step) / 4.0;
        grid(&mut out, HEIGHT * (1.0 - share), &format!("{:.2}", low + share * range));
    }
    let at = |i: usize, value: f64| {
        let x = LEFT + WIDTH * i as f64 / (steps - 1).max(1) as f64;
        format!("{x:.1},{:.1} ", TOP + HEIGHT * (1.0 - (value - low) / range))
    };
    for (colour, Series { name, points }) in series.iter().enumerate() {
        let of = |which: usize| points.iter().enumerate().map(move |(i, point)| at(i, point[which]));
        let band: String = of(1).chain(of(2).rev()).collect();
        let (mean, name): (String, String) = (of(0).collect(), escape(name));
        _ = write!(out, "<g class='s{colour}'><title>{name}</title><polygon points='{band}'/><polyline points='{mean}'/></g>");
    }
    for i in [0, steps / 2, steps - 1] {
        _ = write!(
            out,
            "<text x='{}' y='{:.1}' class='x'>{}</text>",
            at(i, low).split(',').next().unwrap_or("0"),
            TOP + HEIGHT + 17.0,
            i + 1
        );
    }
    let names = series.iter().enumerate().map(|(colour, s)| format!("<li class='s{colour}'>{}</li>", escape(s.name)));
    out + &format!("</svg><ul class='names'>{}</ul>", names.collect::<String>())
}

/// Named intervals, one below the other: value, lower and upper end of each. A vertical line marks `beside`.
pub(super) fn intervals(title: &str, rows: &[(&str, [f64; 3])], beside: f64) -> String {
    const ROW: f64 = 22.0;
    const NAMES: f64 = 190.0;
    let all = rows.iter().flat_map(|(_, row)| row).chain([&beside]);
    let (low, high) = all.fold((f64::MAX, f64::MIN), |(low, high), x| (low.min(*x), high.max(*x)));
    let x = |value: f64| NAMES + (LEFT + WIDTH - NAMES) * (value - low) / (high - low).max(1e-9);
    let bottom = TOP + ROW * rows.len() as f64;
    let mut out = sized(title, bottom + BOTTOM);
    _ = write!(out, "<line class='beside' x1='{0:.1}' x2='{0:.1}' y1='{TOP}' y2='{bottom}'/>", x(beside));
    for (i, (name, [value, least, most])) in rows.iter().enumerate() {
        let y = TOP + ROW * (i as f64 + 0.5);
        _ = write!(out, "<text x='{:.0}' y='{:.1}' class='y'>{}</text>", NAMES - 8.0, y + 4.0, escape(name));
        _ = write!(out, "<path d='M{:.1},{y:.1}L{:.1},{y:.1}'/>", x(*least), x(*most));
        _ = write!(out, "<circle cx='{:.1}' cy='{y:.1}' r='4'><title>{value:.4}</title></circle>", x(*value));
    }
    for value in [low, (low + high) / 2.0, high] {
        _ = write!(out, "<text x='{:.1}' y='{:.1}' class='x'>{value:.3}</text>", x(value), bottom + 17.0);
    }
    out + "</svg>"
}

/// A reliability diagram: for each bin what was said, across, and what was found, upwards; both are probabilities. The
/// dashed line is where they are equal.
pub(super) fn reliability(title: &str, bins: &[[f64; 2]]) -> String {
    let most = bins.iter().flatten().fold(1e-6, |most: f64, p| most.max(*p));
    let at = |[said, found]: [f64; 2]| (LEFT + WIDTH * said / most, TOP + HEIGHT * (1.0 - found / most));
    let mut out = open(title);
    for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
        let (value, x) = (share * most, LEFT + WIDTH * share);
        grid(&mut out, HEIGHT * (1.0 - share), &format!("{value:.3}"));
        _ = write!(out, "<text x='{x:.1}' y='{:.1}' class='x'>{value:.3}</text>", TOP + HEIGHT + 17.0);
    }
    let (right, top) = (LEFT + WIDTH, TOP);
    _ = write!(out, "<line class='beside' x1='{LEFT}' x2='{right}' y1='{:.1}' y2='{top}'/>", TOP + HEIGHT);
    for bin in bins {
        let ((x, y), [said, found]) = (at(*bin), bin);
        _ = write!(out, "<circle cx='{x:.1}' cy='{y:.1}' r='4'><title>said {said:.4}, found {found:.4}</title></circle>");
    }
    out + "</svg>"
}

fn open(title: &str) -> String {
    sized(title, TOP + HEIGHT + BOTTOM)
}

fn sized(title: &str, height: f64) -> String {
    let title = escape(title);
    format!("<svg viewBox='0 0 {} {height}' role='img' aria-label='{title}'>", LEFT + WIDTH + 8.0)
}

/// A horizontal grid line with its label, `y` units below the top of the plot.
fn grid(out: &mut String, y: f64, label: &str) {
    let y = TOP + y;
    _ = write!(out, "<line x1='{LEFT}' x2='{:.0}' y1='{y:.1}' y2='{y:.1}'/>", LEFT + WIDTH);
    _ = write!(out, "<text x='{:.0}' y='{:.1}' class='y'>{label}</text>", LEFT - 8.0, y + 4.0);
}

/// The smallest number not below `n` that is 1, 2, 4, 5 or 8 times a power of ten.
fn rounded_up(n: u64) -> u64 {
    let mut unit = 1;
    while unit * 10 < n {
        unit *= 10;
    }
    [1, 2, 4, 5, 8, 10].into_iter().map(|m| m * unit).find(|m| *m >= n).unwrap_or(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_are_fit_to_print() {
        assert_eq!(grouped(1_234_567).replace('\u{202f}', "_"), "1_234_567");
        assert_eq!((grouped(0), grouped(999)), ("0".to_owned(), "999".to_owned()));
        assert_eq!([1, 3, 11, 41, 95, 100, 4_100].map(rounded_up), [1, 4, 20, 50, 100, 100, 5000]);
        assert_eq!(escape("<b x='1'>&\"</b>"), "&lt;b x=&#39;1&#39;&gt;&amp;&quot;&lt;/b&gt;");
    }

    #[test]
    fn bars_are_as_high_as_their_counts() {
        let svg = bars("t", &[("<a>".into(), 10), ("b".into(), 5)]);
        assert!(svg.contains("height='180.0'") && svg.contains("height='90.0'") && svg.contains("&lt;a&gt;: 10"));
        assert!(bars("t", &[]).ends_with("</svg>") && ranks("t", &[]).ends_with("</svg>"));
        let svg = line("t", &[2.0, 1.0, 1.5]);
        assert!(svg.contains("M52.0,10.0L292.0,190.0L532.0,100.0") && svg.contains(">1.250<"), "{svg}");
        assert!(line("t", &[]).ends_with("</svg>") && line("t", &[3.0]).contains("M52.0,190.0"));
        // The axis runs from 1 to 3, so the value 2 lies in the middle between 190 and 532.
        let svg = intervals("t", &[("<a>", [2.0, 1.0, 3.0])], 1.5);
        assert!(
            svg.contains("<circle cx='361.0' cy='21.0'") && svg.contains("M190.0,21.0L532.0,21.0") && svg.contains("&lt;a&gt;"),
            "{svg}"
        );
        let points =
            [(0.1, 0.4, "0"), (0.3, 0.3, "<4>"), (0.5, 0.2, "16")].map(|(x, y, label)| Point { x, y, label: label.into() });
        let svg = curve("t", &points);
        assert!(
            svg.contains("d='M52.0,10.0L292.0,100.0L532.0,190.0'") && svg.contains(">0.350<") && svg.contains(">0.20<"),
            "{svg}"
        );
        assert!(svg.contains("<circle cx='292.0' cy='100.0' r='4'><title>&lt;4&gt;</title>"), "{svg}");
        assert!(curve("t", &[]).ends_with("</svg>") && curve("t", &points[..1]).contains("M52.0,190.0'"));
        let svg = reliability("t", &[[0.1, 0.2], [0.4, 0.3]]);
        assert!(
            svg.contains("cx='172.0' cy='100.0'") && svg.contains("cx='532.0' cy='55.0'") && svg.contains(">0.400<"),
            "{svg}"
        );
        assert!(reliability("t", &[]).ends_with("</svg>"));
        let svg = ranks("t", &[100, 10, 1]);
        assert!(svg.contains("M52.0,10.0L") && svg.contains("L532.0,190.0"), "{svg}");
    }
}
