# What surrounds every page.
skip-to-content = Skip to the content
nav-administration = Administration
nav-dashboard = Dashboard
nav-all-tokens = All tokens
nav-identities = Identities
nav-audit = Audit trail
nav-preferences = Preferences
nav-tokens = Personal Access Tokens
nav-password = Password
nav-display = Display
nav-api = API
sign-out = Sign out
times-in-zone = Times are in { $zone }.
copy = Copy
copied = Copied
cancel = Cancel
form-has-problems = Something needs your attention below.
scopes-more = { $count } more

# How long ago, how far ahead.
just-now = just now
ago-minutes = { $count ->
    [one] { $count } minute ago
   *[other] { $count } minutes ago
}
ago-hours = { $count ->
    [one] { $count } hour ago
   *[other] { $count } hours ago
}
ago-days = { $count ->
    [one] { $count } day ago
   *[other] { $count } days ago
}
ago-years = { $count ->
    [one] { $count } year ago
   *[other] { $count } years ago
}
ahead-minutes = { $count ->
    [one] in { $count } minute
   *[other] in { $count } minutes
}
ahead-hours = { $count ->
    [one] in { $count } hour
   *[other] in { $count } hours
}
ahead-days = { $count ->
    [one] in { $count } day
   *[other] in { $count } days
}
ahead-years = { $count ->
    [one] in { $count } year
   *[other] in { $count } years
}
days-left = { $count ->
    [one] { $count } day left
   *[other] { $count } days left
}

# Told once, on the page after the one that did it.
notice-session-ended = You were signed out meanwhile: what you sent was not done. Sign in and do it again.
notice-token-saved = The token was changed.
notice-token-deleted = The token was deleted. It and every access token made from it are refused from now on.
