//! How a payout was asked for.

use serde::{Deserialize, Serialize};

/// How a payout was asked for, as the starter says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Source {
    /// By a program. The usual one.
    #[default]
    Api,
    /// As a line of a file.
    File,
    /// By a schedule.
    Schedule,
}

impl Source {
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        match text {
            "api" => Ok(Self::Api),
            "file" => Ok(Self::File),
            "schedule" => Ok(Self::Schedule),
            _ => Err("\"api\", \"file\" or \"schedule\""),
        }
    }

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::File => "file",
            Self::Schedule => "schedule",
        }
    }

    pub(crate) fn is_usual(&self) -> bool {
        *self == Self::Api
    }
}
