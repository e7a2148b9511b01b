//! The figures as lines: docs/performance/*.svg.

use std::error::Error;
use std::path::Path;

use plotters::prelude::{
    BLACK, ChartBuilder, Color as _, IntoDrawingArea as _, LineSeries, Palette as _, Palette99, PathElement,
    SVGBackend, SeriesLabelPosition, WHITE,
};

use crate::figures::{Figures, FleetFigures, Schedule, best, median};
use crate::schedule::tens;

/// Pixels.
const SIZE: (u32, u32) = (720, 320);

/// A chart: its title, what its axes count, and its lines.
struct Chart<'c> {
    file: &'c str,
    title: &'c str,
    across: &'c str,
    up: &'c str,
    lines: Vec<(&'c str, Vec<(f64, f64)>)>,
}

/// Draws all that there are figures for, and tells the names and titles of what was drawn.
pub fn draw(figures: &Figures, folder: &Path) -> Vec<(String, String)> {
    std::fs::create_dir_all(folder).expect("the charts' folder");
    let charts = [rates(figures), memory(figures)].into_iter().chain(schedule(figures));
    let drawn = charts.filter(|chart| chart.lines.iter().any(|(_, points)| points.len() > 1));
    drawn
        .map(|chart| {
            chart.draw(folder).unwrap_or_else(|error| panic!("{}: {error}", chart.file));
            (chart.file.to_owned(), chart.title.to_owned())
        })
        .collect()
}

fn rates(figures: &Figures) -> Chart<'static> {
    let line = |by: fn(&FleetFigures) -> f64| {
        let points = figures.fleets.iter().map(|fleet| (fleet.tokens as f64, by(fleet)));
        points.collect()
    };
    Chart {
        file: "rates.svg",
        title: "Secrets written a second",
        across: "tokens",
        up: "Secrets a second",
        lines: vec![
            ("bare loop creates", line(|it| it.raw_create.rate)),
            ("cold start", line(|it| it.cold.rate)),
            ("bare loop replaces", line(|it| best(&it.raw_replace).map_or(0.0, |it| it.rate))),
            ("everything due", line(|it| median(&it.due, |it| it.rate))),
        ],
    }
}

fn memory(figures: &Figures) -> Chart<'static> {
    let line = |by: fn(&crate::figures::Memory) -> f64| {
        let fleets = figures.fleets.iter().map(|fleet| (fleet.tokens as f64, by(&fleet.memory)));
        std::iter::once((0.0, by(&figures.memory_at_0))).chain(fleets).collect()
    };
    Chart {
        file: "memory.svg",
        title: "Memory at rest",
        across: "tokens",
        up: "MiB",
        lines: vec![("all", line(|it| it.resident)), ("its own", line(|it| it.own))],
    }
}

/// Of the largest fleet that rotated by its schedule.
fn schedule(figures: &Figures) -> Option<Chart<'static>> {
    let schedule: &Schedule = figures.fleets.iter().rev().find_map(|fleet| fleet.schedule.as_ref())?;
    let tens = tens(&schedule.by_second);
    let points = tens.iter().enumerate().map(|(ten, &count)| (ten as f64 * 10.0, f64::from(count) / 10.0));
    Some(Chart {
        file: "schedule.svg",
        title: "Rotations by schedule, after all Secrets were written at once",
        across: "seconds since the first",
        up: "rotations a second",
        lines: vec![("rotations", points.collect())],
    })
}

impl Chart<'_> {
    fn draw(&self, folder: &Path) -> Result<(), Box<dyn Error>> {
        let path = folder.join(self.file);
        let area = SVGBackend::new(&path, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let points = || self.lines.iter().flat_map(|(_, points)| points);
        let (right, top) = points().fold((1.0, 1.0), |(x, y): (f64, f64), point| (x.max(point.0), y.max(point.1)));
        let mut chart = ChartBuilder::on(&area)
            .caption(self.title, ("sans-serif", 16))
            .margin(12)
            .x_label_area_size(36)
            .y_label_area_size(52)
            .build_cartesian_2d(0.0..right, 0.0..top * 1.1)?;
        let mut mesh = chart.configure_mesh();
        mesh.x_desc(self.across).y_desc(self.up).x_label_formatter(&|x| format!("{x:.0}")).draw()?;
        for (at, (name, points)) in self.lines.iter().enumerate() {
            let style = Palette99::pick(at).stroke_width(2);
            let line = chart.draw_series(LineSeries::new(points.iter().copied(), style))?;
            line.label(*name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], style));
        }
        if self.lines.len() > 1 {
            let mut names = chart.configure_series_labels();
            names
                .position(SeriesLabelPosition::LowerRight)
                .background_style(WHITE.mix(0.8))
                .border_style(BLACK)
                .draw()?;
        }
        area.present()?;
        Ok(())
    }
}
