//! `tokenfall completions`: what a shell needs to complete the command line.

use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use super::{Cli, say};

const AFTER_HELP: &str = "\
Examples:
  tokenfall completions bash > ~/.local/share/bash-completion/completions/tokenfall
  tokenfall completions zsh > ~/.zfunc/_tokenfall    # where fpath has ~/.zfunc
  tokenfall completions fish > ~/.config/fish/completions/tokenfall.fish
";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs) -> ExitCode {
    say(&script(args.shell));
    ExitCode::SUCCESS
}

fn script(shell: Shell) -> String {
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "tokenfall", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;
    use crate::cli::every_word;

    #[test]
    fn every_command_and_flag_is_in_every_shell_s_script() {
        for shell in Shell::value_variants() {
            let script = script(*shell);
            for (command, words) in every_word() {
                assert!(script.contains(&command), "{shell}: {command}");
                for word in words {
                    // Fish has a flag's name behind `-l`.
                    let name = word.trim_start_matches("--");
                    assert!(script.contains(name), "{shell}: {command} {word}");
                }
            }
        }
    }
}
