//! Completions and manual pages, which are made from the one definition of the command line.

use std::fs;

use crate::home::Home;

#[test]
fn every_shell_is_told_every_command() {
    let home = Home::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let text = home.ok(&["completions", shell]);
        for word in ["bulk-update", "save-to", "whoami", "management-listen"] {
            assert!(text.contains(word), "{shell}: {word}");
        }
    }
    assert!(home.fails(&["completions", "cmd"], 2).contains("cmd"));
}

#[test]
fn every_command_has_a_page() {
    let home = Home::new();
    assert!(home.ok(&["man"]).contains(".TH patron 1"));
    let folder = home.path().join("man/man1");
    home.ok(&["man", "--dir", folder.to_str().unwrap()]);
    for page in [
        "patron",
        "patron-serve",
        "patron-pat-bulk-update",
        "patron-token-inspect",
        "patron-admin-keys-rotate",
    ] {
        let text = fs::read_to_string(folder.join(format!("{page}.1"))).unwrap();
        assert!(text.contains(&format!(".TH {page} 1")), "{page}");
    }
    assert!(home.fails(&["man", "--dir", "/proc/self/man"], 1).contains("cannot be written"));
}
