//! Rows for people: a table on a terminal, tab-separated lines elsewhere, so that other programs can read them.

use std::io::IsTerminal;

use comfy_table::{ContentArrangement, Table, presets};

/// Where rows are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Look {
    /// A terminal this wide, in characters.
    Terminal(u16),
    /// A file or a pipe.
    Plain,
}

/// Characters in a line of a terminal that does not say.
const USUAL_WIDTH: u16 = 120;

impl Look {
    /// How standard output looks.
    pub fn of_stdout() -> Self {
        if !std::io::stdout().is_terminal() {
            return Self::Plain;
        }
        let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
        Self::Terminal(columns.filter(|columns| *columns >= 40).unwrap_or(USUAL_WIDTH))
    }

    /// The rows under their header, without a line end after the last.
    pub fn table(self, header: &[&str], rows: &[Vec<String>]) -> String {
        match self {
            Self::Terminal(width) => {
                let mut table = Table::new();
                table.load_style(presets::UTF8_HORIZONTAL_ONLY);
                table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width);
                table.set_header(header);
                table.add_rows(rows);
                table.trim_fmt()
            }
            Self::Plain => {
                let header = header.iter().map(|name| (*name).to_owned()).collect();
                let lines = std::iter::once(&header).chain(rows);
                lines.map(|row: &Vec<String>| plain_line(row)).collect::<Vec<_>>().join("\n")
            }
        }
    }
}

/// A tab or a line end inside a value would be read as the end of it.
fn plain_line(row: &[String]) -> String {
    row.iter().map(|value| value.replace(['\t', '\n', '\r'], " ")).collect::<Vec<_>>().join("\t")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Vec<String>> {
        vec![vec!["invoice-1".into(), "Completed".into()], vec!["invoice-2".into(), "a\tb\nc".into()]]
    }

    #[test]
    fn outside_a_terminal_a_row_is_a_line_and_a_value_is_a_field() {
        let text = Look::Plain.table(&["payout", "stage"], &rows());
        assert_eq!(text, "payout\tstage\ninvoice-1\tCompleted\ninvoice-2\ta b c");
    }

    #[test]
    fn on_a_terminal_no_line_is_wider_than_it() {
        let long = vec![vec!["invoice-1".to_owned(), "word ".repeat(60)]];
        let text = Look::Terminal(60).table(&["payout", "why"], &long);
        assert!(text.contains("invoice-1") && text.lines().count() > 5, "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 60), "{text}");
    }
}
