# Preferences → Personal Access Tokens.
tokens-title = Personal Access Tokens
tokens-lead = A token lets a program act as you, without your password, within the scopes that you give it.
tokens-new = New Token
tokens-at-limit = You have as many tokens as you may: { $count }. Delete one that you no longer need to make another.
tokens-none = You have no tokens yet
tokens-none-why = Scripts and services call the API with a token in the place of your password. Make one for each purpose, limit it to what that needs, and delete it when it is done.
tokens-first = Create your first token
tokens-search = Name, Client ID or scope
search = Search
show-all = Show all
tokens-no-match = No token matches.
tokens-of-limit = { $count ->
    [one] { $count } token of { $limit }.
   *[other] { $count } tokens of { $limit }.
}

column-name = Name
column-client-id = Client ID
column-scopes = Scopes
column-created = Created
column-used = Last used
column-expires = Expires
column-state = State
column-actions = Actions
state-live = Active
state-soon = Expires soon
state-expired = Expired
never-used = Never used
never-expires = Never expires
copy-client-id = Copy the Client ID of { $name }
edit = Edit
edit-name = Edit { $name }
delete = Delete
delete-name = Delete { $name }
save = Save
seconds = { $count } seconds

token-name = What is this token for?
token-name-hint = Its name among your tokens, up to { NAME_CHARS() } characters.
token-expiry = Expiry
token-expires-days = { $count } days
token-expires-on = until { $day }
token-expires-date = A date of your choice
token-date-hint = Until the end of this day in { $zone }
token-expires-never = Never
token-expires-keep = As it is
token-aware = I know that a token that never expires works until somebody deletes it, and that whoever finds it can use it until then.
token-validity = Access token validity
token-validity-hint = How long an access token made from it lives, in seconds: { VALIDITY_MIN_SECONDS() } to { VALIDITY_MAX_SECONDS() } ({ VALIDITY_MAX_HOURS() } hours).
token-scopes = Scopes
token-scopes-hint = What the token may do. Choose as little as its purpose needs; with nothing chosen it only does what needs no right.
token-scopes-search = Search the scopes
token-scope-unknown = Not in the catalogue: grants nothing here
token-create = Create Token

made-title = Token created
made-expires = expires on { $day }
made-once = Copy the secret now. It is shown this once and kept nowhere; a lost one cannot be looked up.
made-secret = Secret
made-copy-id = Copy the Client ID
made-copy-secret = Copy the secret
made-copy-env = Copy the .env file
made-copy-for = Copy for { $what }
made-use = Use it
made-env = .env file
made-done = Done

edit-title = Edit token
edit-scope-when = Changed scopes hold for the next access token; those already issued keep theirs until they end.
delete-ellipsis = Delete…
delete-title = Delete token
delete-what = Whatever uses this token stops working at once: it and every access token made from it are refused. This cannot be undone.
delete-type-name = To confirm, type the token's name or its Client ID
delete-name-differs = That is neither its name nor its Client ID.
