//! Colors, where standard output is a terminal that wants them.

use std::fmt;
use std::io::IsTerminal as _;
use std::sync::LazyLock;

use clap::builder::styling::{AnsiColor, Color, Style};

static COLORED: LazyLock<bool> =
    LazyLock::new(|| std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none());

fn paint(text: impl fmt::Display, color: AnsiColor) -> String {
    if !*COLORED {
        return text.to_string();
    }
    let style = Style::new().fg_color(Some(Color::Ansi(color)));
    format!("{style}{text}{style:#}")
}

pub(super) fn good(text: impl fmt::Display) -> String {
    paint(text, AnsiColor::Green)
}

pub(super) fn bad(text: impl fmt::Display) -> String {
    paint(text, AnsiColor::Red)
}

/// A figure beside its limit: colored from half of it, and again from nine tenths.
pub(super) fn near(text: impl fmt::Display, share_of_limit: f64) -> String {
    match share_of_limit {
        share if share >= 0.9 => bad(text),
        share if share >= 0.5 => paint(text, AnsiColor::Yellow),
        _ => text.to_string(),
    }
}
