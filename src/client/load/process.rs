//! The processor time and the memory of processes on this machine, from Linux' `/proc`.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    time::Duration,
};

/// A process that cannot be looked at.
#[derive(Debug, thiserror::Error)]
#[error("there is no process {0} to be looked at in /proc")]
pub struct ProcessError(u32);

/// Some processes, each with all that it started.
#[derive(Debug)]
pub struct Processes {
    watched: Vec<Watched>,
}

/// One of them.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    pub(super) pid: u32,
    // By thread, since threads come and go.
    begun: BTreeMap<u32, u64>,
    now: BTreeMap<u32, u64>,
    pub(super) memory_before: u64,
    pub(super) memory_most: u64,
}

impl Watched {
    /// Time on a processor since it has been watched.
    pub(super) fn cpu(&self) -> Duration {
        let spent = self.now.iter().map(|(thread, spent)| {
            spent.saturating_sub(self.begun.get(thread).copied().unwrap_or(0))
        });
        Duration::from_nanos(spent.sum())
    }
}

impl Processes {
    /// Looks at these processes for the first time.
    ///
    /// # Errors
    /// [`ProcessError`] for one that is not there.
    pub fn watch(pids: &[u32]) -> Result<Self, ProcessError> {
        let look = |pid: &u32| {
            let (threads, memory) = look(*pid).ok_or(ProcessError(*pid))?;
            Ok(Watched {
                pid: *pid,
                begun: threads.clone(),
                now: threads,
                memory_before: memory,
                memory_most: memory,
            })
        };
        let watched: Result<_, _> = pids.iter().map(look).collect();
        Ok(Self { watched: watched? })
    }

    /// Looks again. Of a process that is gone stays what was seen last.
    pub fn sample(&mut self) {
        for watched in &mut self.watched {
            if let Some((threads, memory)) = look(watched.pid) {
                watched.now.extend(threads);
                watched.memory_most = watched.memory_most.max(memory);
            }
        }
    }

    pub(super) fn watched(&self) -> &[Watched] {
        &self.watched
    }
}

/// Nanoseconds on a processor by thread, and resident KiB, of a process and all that it started.
fn look(pid: u32) -> Option<(BTreeMap<u32, u64>, u64)> {
    let mut threads = BTreeMap::new();
    let mut memory = resident(pid)?;
    threads.extend(spent(pid));
    for pid in descendants(pid) {
        threads.extend(spent(pid));
        memory += resident(pid).unwrap_or(0);
    }
    Some((threads, memory))
}

/// What a process started, and what that started.
fn descendants(root: u32) -> BTreeSet<u32> {
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let parents: Vec<_> = numbers
        .filter_map(|pid| Some((pid, parent(pid)?)))
        .collect();
    let mut found = BTreeSet::new();
    let mut asked = vec![root];
    while let Some(pid) = asked.pop() {
        let children = parents.iter().filter(|(_, parent)| *parent == pid);
        for (child, _) in children {
            if found.insert(*child) {
                asked.push(*child);
            }
        }
    }
    found
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name may have spaces and brackets; state and parent follow it.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

fn spent(pid: u32) -> BTreeMap<u32, u64> {
    let threads = fs::read_dir(format!("/proc/{pid}/task"));
    let threads = threads.into_iter().flatten().flatten();
    let spent = threads.filter_map(|thread| {
        let times = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        let spent = times.split_whitespace().next()?.parse().ok()?;
        Some((thread.file_name().to_str()?.parse().ok()?, spent))
    });
    spent.collect()
}

fn resident(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};

    /// Of a process of its own: what this one holds, the other tests of this run change at the same time.
    #[test]
    fn work_and_memory_of_a_process_are_seen() {
        let script =
            r#"read go; kept=$(head -c 33554432 /dev/zero | tr '\0' x); echo ${#kept}; read stop"#;
        let mut shell = Command::new("sh")
            .args(["-c", script])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell");
        let mut told = shell.stdin.take().expect("its input");
        let mut said = BufReader::new(shell.stdout.take().expect("its output")).lines();
        let mut processes = Processes::watch(&[shell.id()]).expect("it runs");
        told.write_all(b"go\n").expect("it reads");
        assert_eq!(said.next().expect("a line").expect("text"), "33554432");
        processes.sample();
        let watched = &processes.watched()[0];
        assert!(
            watched.cpu() > Duration::from_millis(1),
            "{:?}",
            watched.cpu()
        );
        let grown = watched.memory_most - watched.memory_before;
        assert!(grown > 20 << 10, "{grown} KiB");
        drop(told);
        shell.wait().expect("it ends");
    }

    #[test]
    fn a_process_that_is_not_there_is_named() {
        let error = Processes::watch(&[u32::MAX]).expect_err("no such process");
        assert!(error.to_string().contains("4294967295"));
    }
}
