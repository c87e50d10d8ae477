//! What the command lines of the examples have in common.

use lexopt::{Error, Parser, ValueExt};
use std::{fmt::Display, process::ExitCode, time::Duration};

/// What a command line asks for.
#[derive(Debug)]
pub(crate) enum Asked<A> {
    Help,
    Run(A),
}

/// The value of `option`, as `reader` reads it. An error names the option, and not the value, which
/// may be a secret.
pub(crate) fn read<T, E: Display>(
    parser: &mut Parser,
    option: &str,
    reader: impl FnOnce(&str) -> Result<T, E>,
) -> Result<T, Error> {
    let value = parser.value()?;
    let text = value.string().map_err(|_| wrong(option, "the value is not UTF-8"))?;
    reader(&text).map_err(|why| wrong(option, why))
}

/// The value of `option` as it is.
pub(crate) fn text(parser: &mut Parser, option: &str) -> Result<String, Error> {
    read(parser, option, |text| match text {
        "" => Err("the value is empty"),
        text => Ok(text.to_owned()),
    })
}

/// A time with its unit.
#[allow(dead_code, reason = "not each example is told a time")]
pub(crate) fn duration(text: &str) -> Result<Duration, &'static str> {
    let form = "it is a whole number with its unit: 500ms, 2s, 1m";
    let digits = text.find(|char: char| !char.is_ascii_digit()).ok_or(form)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| form)?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        _ => Err(form),
    }
}

/// What is wrong with `option`.
pub(crate) fn wrong(option: &str, why: impl Display) -> Error {
    Error::Custom(format!("{option}: {why}").into())
}

/// What there is to run; else the help or the error was printed, and the program ends so.
pub(crate) fn asked<A>(
    asked: Result<Asked<A>, Error>,
    program: &str,
    help: &str,
) -> Result<A, ExitCode> {
    match asked {
        Ok(Asked::Run(arguments)) => Ok(arguments),
        Ok(Asked::Help) => {
            print!("{help}");
            Err(ExitCode::SUCCESS)
        }
        Err(error) => {
            eprintln!("{program}: {error}\n`--help` shows what there is.");
            Err(ExitCode::from(2))
        }
    }
}
