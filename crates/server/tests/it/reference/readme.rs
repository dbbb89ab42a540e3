//! The README's table of the reference's commands: its three other columns are run as they stand there, and do the same.

use std::fs;
use std::path::Path;

use futures_util::TryStreamExt as _;
use patron_client::{Client, CreatePersonalAccessTokenRequest, Error, JsonPatch, List, Timestamp};
use serde_json::{Value, json};

use super::END;
use super::callers::{Caller as _, CommandLine, Sdk};
use super::servers::{Access, PatronSite, Site as _};
use crate::support::{Call, basic};

/// What the reference calls a PAT and an owner.
const EXAMPLE_ID: &str = "ef38f94347e94562b5bb8424a56397d8";
const EXAMPLE_OWNER: &str = "2c9180867b50d088017b554662fb281e";
/// The date in the reference's patch, which will have passed one day.
const EXAMPLE_END: &str = "2027-12-31T23:59:59.999Z";

/// A line of the table.
struct Row {
    reference: String,
    command: String,
    sdk: String,
    http: Vec<String>,
}

/// The code in a cell.
fn code(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(|code| code.replace(r"\|", "|")).collect()
}

fn table() -> Vec<Row> {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let section = readme.split("## Commands, SDK and HTTP\n").nth(1).unwrap().split("\n## ").next().unwrap();
    let lines = section.lines().filter(|line| line.starts_with('|')).skip(2);
    let row = |line: &str| {
        let line = line.replace(r"\|", "\0");
        let cells: Vec<String> =
            line.trim_matches('|').split(" | ").map(|cell| cell.replace('\0', r"\|")).collect();
        let [reference, command, sdk, http] = &cells[..] else { panic!("not four cells: {line}") };
        let only = |cell: &str| <[String; 1]>::try_from(code(cell)).unwrap().concat();
        Row { reference: reference.clone(), command: only(command), sdk: only(sdk), http: code(http) }
    };
    lines.map(row).collect()
}

/// A server with one PAT more than the first, about which the examples are.
struct Stage {
    patron: PatronSite,
    access: Access,
    line: CommandLine,
    sdk: Sdk,
    id: String,
}

impl Stage {
    fn new() -> Self {
        let patron = PatronSite::start();
        let access = patron.access();
        let (line, sdk) = (CommandLine::new(&access), Sdk::new(&access));
        let request = CreatePersonalAccessTokenRequest::named("the examples' own").never_expiring();
        let made = sdk.create(&request).unwrap();
        let id = made["id"].as_str().unwrap().to_owned();
        Self { patron, access, line, sdk, id }
    }

    /// An example with this server's ids.
    fn fitted(&self, example: &str) -> String {
        let example = example.replace(EXAMPLE_ID, &self.id).replace(EXAMPLE_OWNER, &self.access.owner);
        example.replace(EXAMPLE_END, END)
    }

    fn by_command(&self, command: &str) -> Value {
        let program = Path::new(env!("CARGO_BIN_EXE_patron")).parent().unwrap();
        let path = std::env::join_paths([program, Path::new("/bin"), Path::new("/usr/bin")]).unwrap();
        let output =
            self.line.command("sh").env("PATH", path).args(["-c", &self.fitted(command)]).output().unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn by_http(&self, request: &[String]) -> Value {
        let (method, uri) = request[0].split_once(' ').unwrap();
        let call = Call::new(method, &self.fitted(uri));
        let call = call.auth(&basic(&self.access.client_id, &self.access.client_secret));
        let call = match &request[1..] {
            [] => call,
            [content_type, body] => call.body(content_type, self.fitted(body)),
            more => panic!("a content type and a body, or none: {more:?}"),
        };
        let reply = self.patron.send(call);
        assert!(reply.status.is_success(), "{request:?}: {}", reply.text());
        if reply.body.is_empty() { Value::Null } else { reply.json() }
    }

    fn by_sdk(&self, row: usize) -> Value {
        let expires = Timestamp::parse(END).unwrap();
        let call = sdk_calls(row, &self.sdk.client, &self.id, &self.access.owner, expires);
        self.sdk.runtime.block_on(call).unwrap()
    }

    /// What there is now.
    fn pats(&self) -> Value {
        alike(json!(self.sdk.list(None, None).unwrap()))
    }
}

/// The SDK's column, whose code stands here word for word.
async fn sdk_calls(
    row: usize,
    client: &Client,
    id: &str,
    owner_id: &str,
    expires: Timestamp,
) -> Result<Value, Error> {
    let answer = match row {
        0 => serde_json::to_value(
            client
                .create(&CreatePersonalAccessTokenRequest::named("nightly report").never_expiring())
                .await?,
        ),
        1 => serde_json::to_value(
            client
                .create(
                    &CreatePersonalAccessTokenRequest::named("NodeJS Integration")
                        .with_scope([
                            "demo:personal-access-token-scope:first",
                            "demo:personal-access-token-scope:second",
                        ])
                        .with_validity(36900)
                        .expiring(expires),
                )
                .await?,
        ),
        2 => {
            client.delete(id).await?;
            Ok(Value::Null)
        }
        3 => serde_json::to_value(client.list(&List::everyones()).try_collect::<Vec<_>>().await?),
        4 => serde_json::to_value(
            client
                .list(&List::of(owner_id).filters("lastUsed le 2023-02-05T10:59:27.214Z"))
                .try_collect::<Vec<_>>()
                .await?,
        ),
        5 => serde_json::to_value(
            client
                .patch(id, &JsonPatch::new().name("New name").scope(["sp:scopes:all"]).expiring(expires))
                .await?,
        ),
        6 => serde_json::to_value(client.get(id).await?),
        _ => panic!("the table has more lines than are known here"),
    };
    Ok(answer.unwrap())
}

/// An answer without what differs from one server, and one moment, to the next.
fn alike(mut answer: Value) -> Value {
    match &mut answer {
        Value::Object(fields) => {
            for (name, value) in fields {
                let of_the_moment = match name.as_str() {
                    "id" | "secret" | "created" | "lastUsed" => !value.is_null(),
                    // The first PAT's, which is counted from its creation.
                    "expirationDate" => !value.is_null() && *value != END,
                    _ => false,
                };
                *value = if of_the_moment { "some".into() } else { alike(value.take()) };
            }
        }
        Value::Array(elements) => elements.iter_mut().for_each(|element| *element = alike(element.take())),
        _ => {}
    }
    answer
}

#[test]
fn the_readmes_table_does_what_it_says() {
    let rows = table();
    assert_eq!(rows.len(), 7);
    for (index, row) in rows.iter().enumerate() {
        let (first, second, third) = (Stage::new(), Stage::new(), Stage::new());
        let before = first.pats();
        let command = first.by_command(&row.command);
        let answers = [second.by_http(&row.http), third.by_sdk(index)].map(alike);
        assert_eq!(answers[0], answers[1], "{}", row.reference);
        if row.http[0].starts_with("DELETE") {
            assert_eq!(command, json!({ "deleted": [first.id] }));
        } else {
            assert_eq!(alike(command), answers[0], "{}", row.command);
        }
        let after = first.pats();
        assert_eq!(after == before, row.http[0].starts_with("GET"), "{}", row.command);
        assert_eq!((&second.pats(), &third.pats()), (&after, &after), "{}", row.reference);
    }
}

#[test]
fn the_readmes_sdk_calls_are_code_that_runs() {
    // However the code is laid out.
    let plain = |code: &str| -> String {
        let code: String = code.chars().filter(|c| !c.is_whitespace()).collect();
        code.replace(",)", ")").replace(",]", "]")
    };
    let source = plain(include_str!("readme.rs"));
    for row in table() {
        assert!(source.contains(&plain(&row.sdk)), "{}", row.sdk);
    }
}

#[test]
fn the_readmes_table_has_the_commands_of_the_reference() {
    let told: Vec<String> = table().into_iter().map(|row| row.reference).collect();
    for command in [
        "`New-PersonalAccessTokenV1 -Createpersonalaccesstokenrequest $Result`",
        "`Remove-PersonalAccessTokenV1 -Id $Id`",
        "`Get-PersonalAccessTokensV1`",
        "`Get-PersonalAccessTokensV1 -OwnerId $OwnerId -Filters $Filters`",
        "`Update-PersonalAccessTokenV1 -Id $Id -Jsonpatchoperation $Result`",
        r"`Initialize-Getpersonalaccesstokenresponse … \| ConvertTo-JSON`",
    ] {
        assert!(told.iter().any(|told| told.contains(command)), "{command}");
    }
}
