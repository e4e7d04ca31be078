//! `tokenfall man`: the manual, a page per command.

use std::{fs, io, path::PathBuf, process::ExitCode};

use clap::{Args, Command, CommandFactory, builder::Resettable};
use clap_mangen::{
    Man,
    roff::{Roff, roman},
};

use super::{Cli, FAILED, WRONG_INPUT, fail, say};

/// What the examples in a command's help stand behind.
const EXAMPLES: &str = "Examples:\n";

const AFTER_HELP: &str = "\
Examples:
  tokenfall man chat | man -l -
  tokenfall man --dir ~/.local/share/man/man1
";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct ManArgs {
    /// The command whose page is printed [default: the whole program's]
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
    /// Write all pages into this folder instead; it is made where there is none
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    dir: Option<PathBuf>,
}

pub(super) fn run(args: &ManArgs) -> ExitCode {
    let pages = match pages() {
        Ok(pages) => pages,
        Err(error) => return fail(FAILED, &error),
    };
    if let Some(folder) = &args.dir {
        let written = fs::create_dir_all(folder).and_then(|()| {
            let mut pages = pages.iter();
            pages.try_for_each(|(name, page)| fs::write(folder.join(format!("{name}.1")), page))
        });
        return match written {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(FAILED, &format!("{}: {error}", folder.display())),
        };
    }
    let wanted = match &args.command {
        Some(command) => format!("tokenfall-{command}"),
        None => "tokenfall".to_owned(),
    };
    match pages.iter().find(|(name, _)| *name == wanted) {
        Some((_, page)) => {
            say(page);
            ExitCode::SUCCESS
        }
        None => fail(WRONG_INPUT, &format!("there is no page `{wanted}`")),
    }
}

/// Every page by its name.
fn pages() -> io::Result<Vec<(String, String)>> {
    let mut program = Cli::command().disable_help_subcommand(true);
    // Names the subcommands in full.
    program.build();
    let commands: Vec<Command> = program.get_subcommands().cloned().collect();
    let all = std::iter::once(program).chain(commands);
    all.map(page).collect()
}

/// The page of a command, and its name.
fn page(command: Command) -> io::Result<(String, String)> {
    let name = command.get_display_name().unwrap_or(command.get_name());
    let name = name.to_owned();
    let help = command.get_after_help().map(ToString::to_string);
    let help = help.unwrap_or_default();
    let (text, examples) = help.split_once(EXAMPLES).unwrap_or((&help, ""));
    let about = command.get_about().map(ToString::to_string);
    let about = format!("{}.\n\n{}", about.unwrap_or_default(), text.trim_end());
    let command = command.long_about(about).after_help(Resettable::Reset);

    let mut page = Vec::new();
    let source = format!("tokenfall {}", env!("CARGO_PKG_VERSION"));
    Man::new(command).source(source).render(&mut page)?;
    if !examples.is_empty() {
        let mut section = Roff::new();
        section.control("SH", ["EXAMPLES"]).control("nf", []);
        for line in examples.lines() {
            section.text([roman(line)]);
        }
        section.control("fi", []).to_writer(&mut page)?;
    }
    Ok((name, String::from_utf8_lossy(&page).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::every_word;

    #[test]
    fn every_command_and_flag_is_in_its_page() {
        let pages = pages().expect("in memory");
        let page = |name: &str| {
            let found = pages.iter().find(|(known, _)| known == name);
            found.map(|(_, page)| page.replace("\\-", "-")).expect(name)
        };
        let program = page("tokenfall");
        for (command, words) in every_word() {
            assert!(
                program.contains(&format!("tokenfall-{command}(1)")),
                "{command}"
            );
            let page = page(&format!("tokenfall-{command}"));
            for word in words {
                assert!(page.contains(&word), "{command} {word}");
            }
        }
        assert_eq!(pages.len(), every_word().len() + 1);
    }
}
