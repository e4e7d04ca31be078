//! `tokenfall chat`: one answer, or a conversation, in the terminal.
//!
//! Standard output has what the model answers and nothing else; standard error has the rest. Start at
//! [`run`]; [`conversation`] asks, [`answer`] adds up what comes, [`screen`] and [`raw`] show it.

mod answer;
mod conversation;
mod prompt;
mod raw;
mod screen;

use std::{process::ExitCode, time::Duration};

use clap::Args;

use self::{conversation::Conversation, prompt::Prompt};
use super::{FAILED, INTERRUPTED, WRONG_INPUT, duration, fail, wait_for};
use crate::{
    backend::upstream::Secret,
    client::{Client, ClientError},
};

/// Where `tokenfall serve` listens if nothing else is said.
const BASE_URL: &str = "http://127.0.0.1:8080/v1";

const AFTER_HELP: &str = "\
Standard output has the answer alone; all else is on standard error. A lost connection is picked up
where the server can resume. At a terminal and without a prompt it is a conversation: /exit or Ctrl-D
leaves, Ctrl-C stops an answer. The exit code is 0 if the answer came whole, 1 if not, 130 after Ctrl-C.

Examples:
  tokenfall chat 'What is a token?'
  git diff | tokenfall chat 'Say in one line what changes here:'
  tokenfall chat --base-url https://api.openai.com/v1 --model gpt-4o --stats 'Hello!'
  tokenfall chat --header 'x-mock-fault: cut@event=5' 'Hello!'    # a cut, and how it goes on
";

#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct ChatArgs {
    /// What to ask; what is piped in is appended, and `-` alone stands for it
    #[arg(value_name = "PROMPT")]
    prompt: Vec<String>,
    /// The server's base URL
    #[arg(long, value_name = "URL", env = "OPENAI_BASE_URL", hide_env_values = true, default_value = BASE_URL)]
    base_url: String,
    /// The server's key
    #[arg(long, value_name = "KEY", env = "OPENAI_API_KEY", hide_env_values = true, value_parser = secret)]
    api_key: Option<Secret>,
    /// The model to ask [default: the first that the server lists]
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Instructions that the model is given first
    #[arg(long, value_name = "TEXT")]
    system: Option<String>,
    /// The most tokens of an answer
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    max_tokens: Option<u32>,
    /// How freely the model chooses its words, such as 0.7
    #[arg(long, value_name = "NUMBER", value_parser = number)]
    temperature: Option<f64>,
    /// One more header of each request, such as 'x-mock-speed: 10'; may be repeated
    #[arg(long, value_name = "NAME: VALUE", value_parser = header)]
    header: Vec<(String, String)>,
    /// How long nothing may come of an answer, such as 30s
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = duration)]
    timeout: Duration,
    /// Print the stream itself, each line with the milliseconds since the one before
    #[arg(long)]
    raw: bool,
    /// Say how long an answer took and how fast it came
    #[arg(long)]
    stats: bool,
}

pub(super) fn run(args: &ChatArgs) -> ExitCode {
    let client = match client(args) {
        Ok(client) => client,
        Err(error) => return fail(WRONG_INPUT, &error),
    };
    let prompt = match Prompt::read(&args.prompt) {
        Ok(prompt) => prompt,
        Err(error) => return fail(WRONG_INPUT, &error),
    };
    match wait_for(Conversation::run(&client, args, prompt)).flatten() {
        Ok(Outcome::Whole) => ExitCode::SUCCESS,
        Ok(Outcome::Failed) => ExitCode::from(FAILED),
        Ok(Outcome::Stopped | Outcome::Left) => ExitCode::from(INTERRUPTED),
        Err(error) => fail(FAILED, &error),
    }
}

/// How the command ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Nothing went wrong.
    Whole,
    /// The answer is not whole, and it was said why.
    Failed,
    /// Somebody pressed Ctrl-C while an answer came.
    Stopped,
    /// Somebody pressed Ctrl-C while none came, or once more.
    Left,
}

fn client(args: &ChatArgs) -> Result<Client, ClientError> {
    // A variable that is set to nothing is one that is not set.
    let url = match &args.base_url[..] {
        "" => BASE_URL,
        url => url,
    };
    let key = args.api_key.as_ref().map(|key| &key.0[..]);
    let mut client = Client::new(url, key.filter(|key| !key.is_empty()))?;
    for (name, value) in &args.header {
        client.add_header(name, value)?;
    }
    Ok(client)
}

#[expect(clippy::unnecessary_wraps, reason = "what clap takes as a parser")]
fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret(text.to_owned()))
}

fn number(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number: &f64| number.is_finite());
    number.ok_or_else(|| "expected a number such as 0.7".to_owned())
}

fn header(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once(':');
    let (name, value) = parts.ok_or("expected a header such as 'x-user: me'")?;
    Ok((name.trim().to_owned(), value.trim().to_owned()))
}
