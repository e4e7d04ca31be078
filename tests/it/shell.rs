//! What the binary hands to a shell: completions and the manual.

use std::{fs, path::PathBuf, process::Command};

const BINARY: &str = env!("CARGO_BIN_EXE_tokenfall");

fn run(args: &[&str]) -> (String, Option<i32>) {
    let output = Command::new(BINARY)
        .args(args)
        .env("OPENAI_API_KEY", "sk-hidden")
        .env("OPENAI_BASE_URL", "http://hidden/v1")
        .output()
        .expect("it runs");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(!said.contains("hidden"), "{args:?}");
    (said, output.status.code())
}

/// What bash offers for the last of these words.
fn completed(words: &str) -> Vec<String> {
    let script = format!(
        "source <(\"$0\" completions bash)
         COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
         _tokenfall tokenfall \"${{COMP_WORDS[-1]}}\" \"${{COMP_WORDS[-2]}}\"
         printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let output = Command::new("bash")
        .args(["-c", &script, BINARY])
        .output()
        .expect("bash runs");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let said = String::from_utf8(output.stdout).expect("UTF-8");
    said.lines().map(str::to_owned).collect()
}

#[test]
fn bash_completes_commands_flags_and_choices() {
    assert_eq!(completed("tokenfall ch"), ["chat", "check"]);
    assert_eq!(completed("tokenfall chat --ba"), ["--base-url"]);
    assert_eq!(
        completed("tokenfall serve --up"),
        ["--upstream", "--upstream-key-env"]
    );
    assert_eq!(completed("tokenfall completions z"), ["zsh"]);
}

#[test]
fn every_shell_has_its_script_and_an_unknown_one_is_wrong_input() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let (script, code) = run(&["completions", shell]);
        assert!(script.contains("tokenfall") && code == Some(0), "{shell}");
    }
    assert_eq!(run(&["completions", "cmd"]).1, Some(2));
}

#[test]
fn the_manual_has_a_page_per_command() {
    let (program, code) = run(&["man"]);
    assert_eq!(code, Some(0));
    assert!(program.contains(".TH tokenfall 1"), "{program}");
    let (page, _) = run(&["man", "chat"]);
    let sections = page.lines().filter_map(|line| line.strip_prefix(".SH "));
    let sections: Vec<_> = sections.collect();
    assert_eq!(
        sections,
        ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES"]
    );
    assert!(page.contains("OPENAI_API_KEY"));
    assert_eq!(run(&["man", "frobnicate"]).1, Some(2));
    assert_eq!(run(&["man", "chat", "--dir", "x"]).1, Some(2));

    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("man1");
    let (said, code) = run(&["man", "--dir", folder.to_str().expect("a path")]);
    assert_eq!((said.as_str(), code), ("", Some(0)));
    let written = fs::read_to_string(folder.join("tokenfall-chat.1"));
    assert_eq!(written.expect("a page"), page);
    assert_eq!(run(&["man", "--dir", "/dev/null/x"]).1, Some(1));
}
