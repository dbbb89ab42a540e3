//! The PowerShell module, as far as it can be checked without PowerShell: that its files, and the examples beside them,
//! are PowerShell, and that it has the reference's commands with the reference's parameters.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tree_sitter::{Node, Parser, Tree};

use crate::reference::callers::{CREATE, DELETE, GET, LIST, PATCH};

const MODULE: &str = "PatronTokens/PatronTokens.psm1";
const MANIFEST: &str = "PatronTokens/PatronTokens.psd1";

fn read(name: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../clients/powershell");
    fs::read_to_string(folder.join(name)).unwrap()
}

fn parse(text: &str) -> Tree {
    let mut parser = Parser::new();
    parser.set_language(&tree_sitter_powershell::LANGUAGE.into()).unwrap();
    parser.parse(text, None).unwrap()
}

/// A node and all below it.
fn each<'tree>(node: Node<'tree>, visit: &mut impl FnMut(Node<'tree>)) {
    visit(node);
    for index in 0..node.child_count() {
        each(node.child(index).unwrap(), visit);
    }
}

/// The places that are no PowerShell.
fn problems(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    each(parse(text).root_node(), &mut |node| {
        if node.is_error() || node.is_missing() {
            found.push(format!("line {}: {}", node.start_position().row + 1, node.kind()));
        }
    });
    found
}

/// The functions of the module, each with its parameters and whether they have to be given.
fn functions() -> BTreeMap<String, BTreeMap<String, bool>> {
    let text = read(MODULE);
    let of = |node: Node<'_>| text[node.byte_range()].to_owned();
    let mut functions = BTreeMap::new();
    each(parse(&text).root_node(), &mut |node| {
        if node.kind() != "function_statement" {
            return;
        }
        let (mut name, mut parameters) = (String::new(), BTreeMap::new());
        each(node, &mut |node| match node.kind() {
            "function_name" => name = of(node),
            "script_parameter" => {
                let written = of(node);
                // Behind its attributes and its type.
                let parameter = written.split(']').next_back().unwrap().trim_start().trim_start_matches('$');
                let parameter = parameter.split_whitespace().next().unwrap().to_owned();
                parameters.insert(parameter, written.contains("Mandatory = $true"));
            }
            _ => {}
        });
        functions.insert(name, parameters);
    });
    functions
}

#[test]
fn its_files_and_examples_are_powershell() {
    for name in [MODULE, MANIFEST] {
        let text = read(name);
        assert_eq!(problems(&text), Vec::<String>::new(), "{name}");
        // Windows PowerShell takes a file without a byte order mark for one in the system's code page.
        assert!(text.is_ascii(), "{name}");
    }
    let readme = read("README.md");
    let mut examples = readme.split("```powershell\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    assert_eq!(examples.clone().count(), 5);
    assert_eq!(examples.find(|example| !problems(example).is_empty()), None);
    // The parser finds what it is there for.
    assert_ne!(problems("function f { if ($a { 1 } }"), Vec::<String>::new());
}

#[test]
fn its_commands_are_those_that_are_run_against_servers() {
    let module = read(MODULE);
    let literals = |line: &str| line.split('\'').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>();
    let commands: Vec<_> = module.lines().filter(|line| line.contains("'pat'")).map(literals).collect();
    assert_eq!(commands, [CREATE, LIST, GET, PATCH, DELETE]);
}

#[test]
fn it_has_the_commands_of_the_reference() {
    let functions = functions();
    let manifest = read(MANIFEST);
    let exported = manifest.split("FunctionsToExport = @(").nth(1).unwrap().split(')').next().unwrap();
    let exported: Vec<&str> = exported.split_whitespace().map(|name| name.trim_matches('\'')).collect();
    for name in &exported {
        assert!(functions.contains_key(*name), "{name} is exported and not there");
    }
    let model = |required: &[&str], optional: &[&str]| -> BTreeMap<String, bool> {
        let required = required.iter().map(|name| ((*name).to_owned(), true));
        required.chain(optional.iter().map(|name| ((*name).to_owned(), false))).collect()
    };
    let optional =
        ["LastUsed", "Managed", "AccessTokenValiditySeconds", "ExpirationDate", "UserAwareTokenNeverExpires"];
    let expected = [
        ("New-PersonalAccessTokenV1", model(&["Createpersonalaccesstokenrequest"], &[])),
        ("Get-PersonalAccessTokensV1", model(&[], &["OwnerId", "Filters"])),
        ("Update-PersonalAccessTokenV1", model(&["Id", "Jsonpatchoperation"], &[])),
        ("Remove-PersonalAccessTokenV1", model(&["Id"], &[])),
        ("ConvertFrom-JsonToCreatepersonalaccesstokenrequest", model(&["Json"], &[])),
        ("ConvertFrom-JsonToJsonpatchoperation", model(&["Json"], &[])),
        (
            "Initialize-Getpersonalaccesstokenresponse",
            model(&["Id", "Name", "Scope", "Owner", "Created"], &optional),
        ),
    ];
    for (name, parameters) in expected {
        assert!(exported.contains(&name), "{name} is not exported");
        assert_eq!(functions[name], parameters, "{name}");
    }
}
