//! Questions and answers, one after the other.

use std::{cell::Cell, io, ops::ControlFlow, time::Duration};

use serde_json::{Value, json};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::timeout,
};

use super::{
    BASE_URL, ChatArgs, Outcome,
    answer::Answer,
    prompt::{Prompt, typed},
    screen::Screen,
};
use crate::{
    cli::warn,
    client::{Client, ClientError, Completion, End, Fault},
};

/// What leaves a conversation.
const EXIT: &str = "/exit";
/// How long the head of a reply is waited for, to know what to cancel. Tokenfall sends it within 3 s.
const HEAD_WITHIN: Duration = Duration::from_secs(4);

/// What was said, and with whom.
pub(super) struct Conversation<'a> {
    client: &'a Client,
    args: &'a ChatArgs,
    model: String,
    messages: Vec<Value>,
    screen: Screen,
    interrupts: Signal,
}

impl<'a> Conversation<'a> {
    /// Asks what is to be asked, and says what goes wrong.
    ///
    /// # Errors
    /// When signals cannot be caught.
    pub(super) async fn run(
        client: &'a Client,
        args: &'a ChatArgs,
        prompt: Prompt,
    ) -> io::Result<Outcome> {
        let mut screen = Screen::new();
        let model = match model(client, args).await {
            Ok(model) => model,
            Err(why) => {
                screen.note(&why);
                return Ok(Outcome::Failed);
            }
        };
        let system = args.system.iter();
        let system = system.map(|text| json!({"role": "system", "content": text}));
        let mut conversation = Self {
            client,
            args,
            model,
            messages: system.collect(),
            screen,
            interrupts: signal(SignalKind::interrupt())?,
        };
        match prompt {
            Prompt::Once(prompt) => conversation.ask(&prompt).await,
            Prompt::Typed => conversation.talk().await,
        }
    }

    /// Asks what is typed, line by line.
    async fn talk(&mut self) -> io::Result<Outcome> {
        let mut lines = typed();
        let model = &self.model;
        let hint = format!("{model} listens; {EXIT} or Ctrl-D leaves, Ctrl-C stops an answer");
        self.screen.note(&hint);
        loop {
            self.screen.ask();
            let line = tokio::select! {
                line = lines.recv() => line,
                _ = self.interrupts.recv() => {
                    self.screen.leave();
                    return Ok(Outcome::Left);
                }
            };
            match line.as_deref() {
                Some("") => {}
                Some(EXIT) => return Ok(Outcome::Whole),
                Some(line) => {
                    // What went wrong was said, and the next question may fare better.
                    if self.ask(line).await? == Outcome::Left {
                        return Ok(Outcome::Left);
                    }
                }
                None => {
                    self.screen.leave();
                    return Ok(Outcome::Whole);
                }
            }
        }
    }

    /// One question, and its answer for the next.
    async fn ask(&mut self, prompt: &str) -> io::Result<Outcome> {
        let question = json!({"role": "user", "content": prompt});
        self.messages.push(question);
        let body = self.body();
        let mut completion = Completion::new(self.client, &body, self.args.timeout);
        let mut answer = Answer::new(&mut self.screen, self.args.raw);
        let ended = read(&mut completion, &mut answer, &mut self.interrupts).await;
        if let Ended::Left = ended {
            return Ok(Outcome::Left);
        }
        let unshown = answer.unshown.take().or(answer.end().err());
        if self.args.stats {
            answer.stats();
        }
        match std::mem::take(&mut answer.content) {
            // A question without an answer is not asked again with the next.
            said if said.is_empty() => drop(self.messages.pop()),
            said => self
                .messages
                .push(json!({"role": "assistant", "content": said})),
        }
        Ok(self.outcome(ended, unshown))
    }

    fn outcome(&mut self, ended: Ended, unshown: Option<io::Error>) -> Outcome {
        match (ended, unshown) {
            // Whoever closed the pipe has read enough.
            (_, Some(error)) if error.kind() == io::ErrorKind::BrokenPipe => Outcome::Whole,
            (_, Some(error)) => {
                self.screen.note(&format!("standard output: {error}"));
                Outcome::Failed
            }
            (Ended::Read(Ok(_)), None) => Outcome::Whole,
            (Ended::Read(Err(fault)), None) => {
                self.screen.note(&told(&fault, self.args));
                Outcome::Failed
            }
            (Ended::Stopped, None) => {
                self.screen.note("stopped");
                Outcome::Stopped
            }
            (Ended::Left, None) => Outcome::Left,
        }
    }

    fn body(&self) -> Value {
        let args = self.args;
        let mut body = json!({
            "model": self.model,
            "stream": true,
            "messages": self.messages,
        });
        if let Some(most) = args.max_tokens {
            body["max_tokens"] = most.into();
        }
        if let Some(temperature) = args.temperature {
            body["temperature"] = temperature.into();
        }
        if args.stats {
            body["stream_options"] = json!({"include_usage": true});
        }
        body
    }
}

/// How the reading of an answer ended.
enum Ended {
    /// By itself, or because nobody takes what is shown.
    Read(Result<End, Fault>),
    /// Somebody pressed Ctrl-C.
    Stopped,
    /// Somebody pressed Ctrl-C twice.
    Left,
}

/// Reads an answer, and has the server stop what is not read to its end.
async fn read(
    completion: &mut Completion<'_>,
    answer: &mut Answer<'_>,
    interrupts: &mut Signal,
) -> Ended {
    let (has_begun, is_stopped) = (Cell::new(false), Cell::new(false));
    let mut reading = Box::pin(completion.read(|step| {
        has_begun.set(true);
        match is_stopped.get() {
            true => ControlFlow::Break(()),
            false => answer.take(step),
        }
    }));
    let ended = tokio::select! {
        ended = &mut reading => Ended::Read(ended),
        _ = interrupts.recv() => Ended::Stopped,
    };
    if let Ended::Read(Ok(End::Whole) | Err(_)) = ended {
        return ended;
    }
    if has_begun.get() {
        drop(reading);
    } else {
        // Only the head of the reply says what to cancel. If it does not come, a closed connection has to do.
        warn("tokenfall: stopping; Ctrl-C again leaves at once\n");
        is_stopped.set(true);
        tokio::select! {
            _ = timeout(HEAD_WITHIN, reading) => {}
            _ = interrupts.recv() => return Ended::Left,
        }
    }
    tokio::select! {
        _ = completion.cancel() => ended,
        _ = interrupts.recv() => Ended::Left,
    }
}

/// The model that is named, or the first that there is.
async fn model(client: &Client, args: &ChatArgs) -> Result<String, String> {
    if let Some(model) = &args.model {
        return Ok(model.clone());
    }
    let models = client.models().await;
    let models = models.map_err(|fault| format!("{}; --model names one", told(&fault, args)))?;
    let first = models.into_iter().next();
    first.ok_or_else(|| "the server lists no models; --model names one".to_owned())
}

/// The fault, and what helps where nobody listens at the address that nobody chose.
fn told(fault: &Fault, args: &ChatArgs) -> String {
    let is_alone = matches!(fault, Fault::Broken(ClientError::Unreachable { .. }));
    match is_alone && args.base_url == BASE_URL {
        true => format!("{fault} (`tokenfall` alone starts a server there)"),
        false => fault.to_string(),
    }
}
