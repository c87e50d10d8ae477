//! A plot of a few lines as SVG, both axes logarithmic.

use std::fmt;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 70.0;
const RIGHT: f64 = 180.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 50.0;
const COLOURS: [&str; 4] = ["#0072b2", "#d55e00", "#009e73", "#cc79a7"];

pub struct Plot {
    pub x: &'static str,
    pub y: &'static str,
    pub series: Vec<Series>,
}

pub struct Series {
    name: &'static str,
    points: Vec<(f64, f64)>,
}

impl Series {
    pub fn new(name: &'static str, points: impl Iterator<Item = (usize, f64)>) -> Self {
        Self { name, points: points.map(|(x, y)| (x as f64, y)).collect() }
    }
}

/// The powers of ten that an axis begins and ends with.
struct Axis {
    from: f64,
    to: f64,
}

impl Axis {
    fn around(values: impl Iterator<Item = f64> + Clone) -> Self {
        let from = values.clone().fold(f64::MAX, f64::min).log10().floor();
        let to = values.fold(f64::MIN, f64::max).log10().ceil();
        Self { from, to: to.max(from + 1.0) }
    }

    /// Where `value` is, from 0 to 1.
    fn at(&self, value: f64) -> f64 {
        (value.log10() - self.from) / (self.to - self.from)
    }

    fn powers(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let powers = std::iter::successors(Some(self.from), |power| Some(power + 1.0));
        powers
            .take_while(|power| *power <= self.to)
            .map(|power| (power, self.at(10_f64.powf(power))))
    }
}

impl fmt::Display for Plot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let points = || self.series.iter().flat_map(|series| series.points.iter());
        let x = Axis::around(points().map(|(x, _)| *x));
        let y = Axis::around(points().map(|(_, y)| *y));
        let left = |part: f64| LEFT + part * (WIDTH - LEFT - RIGHT);
        let top = |part: f64| HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM);
        let (width, height) = (WIDTH, HEIGHT);
        writeln!(
            f,
            r#"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" font-size="12">"#
        )?;
        writeln!(f, r##"<rect width="{width}" height="{height}" fill="#fff"/>"##)?;
        let (right, bottom) = (left(1.0), top(0.0));
        for (power, part) in x.powers() {
            let at = left(part);
            writeln!(f, r##"<path d="M{at:.1} {bottom:.1}V{TOP}" stroke="#ddd"/>"##)?;
            let below = bottom + 18.0;
            writeln!(
                f,
                r#"<text x="{at:.1}" y="{below:.1}" text-anchor="middle">1e{power}</text>"#
            )?;
        }
        for (power, part) in y.powers() {
            let at = top(part);
            writeln!(f, r##"<path d="M{LEFT} {at:.1}H{right:.1}" stroke="#ddd"/>"##)?;
            let (beside, middle) = (LEFT - 8.0, at + 4.0);
            writeln!(
                f,
                r#"<text x="{beside:.1}" y="{middle:.1}" text-anchor="end">1e{power}</text>"#
            )?;
        }
        for (number, (series, colour)) in self.series.iter().zip(COLOURS).enumerate() {
            let places = series.points.iter().map(|(px, py)| (left(x.at(*px)), top(y.at(*py))));
            let line: Vec<_> = places.clone().map(|(x, y)| format!("{x:.1},{y:.1}")).collect();
            let line = line.join(" ");
            writeln!(
                f,
                r#"<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>"#
            )?;
            for (x, y) in places {
                writeln!(f, r#"<circle cx="{x:.1}" cy="{y:.1}" r="3.5" fill="{colour}"/>"#)?;
            }
            let (at, down) = (right + 14.0, TOP + 16.0 + 20.0 * number as f64);
            let name = series.name;
            writeln!(f, r#"<text x="{at:.1}" y="{down:.1}" fill="{colour}">{name}</text>"#)?;
        }
        let (middle, below) = (left(0.5), HEIGHT - 10.0);
        let (x, y) = (self.x, self.y);
        writeln!(f, r#"<text x="{middle:.1}" y="{below:.1}" text-anchor="middle">{x}</text>"#)?;
        let middle = top(0.5);
        writeln!(
            f,
            r#"<text x="18" y="{middle:.1}" text-anchor="middle" transform="rotate(-90 18 {middle:.1})">{y}</text>"#
        )?;
        writeln!(f, "</svg>")
    }
}
