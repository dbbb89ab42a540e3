# Administration → Identities.
identities-title = Identities
identities-lead = Who can sign in here and own tokens.
identities-new = New Identity
identities-search = Name, login name, email or ID
identities-no-match = No identity matches.
identities-total = { $count ->
    [one] { $count } identity
   *[other] { $count } identities
}
column-login = Login name
column-email = Email
column-levels = User levels
column-tokens = Tokens
identity-enabled = Enabled
identity-disabled = Disabled
tokens-of = Tokens of { $name }
page-of = Page { $page } of { $pages }
page-number = Page { $page }
pages = Pages
previous = Previous
next = Next

identity-login = Login name
identity-login-hint = What this person or service signs in with, up to { NAME_CHARS() } characters.
identity-display-name = Display name
identity-display-name-hint = What others read; the login name when you leave this empty.
identity-first-name = First name
identity-last-name = Last name
identity-email = Email
identity-levels = User levels
identity-levels-hint = A level's rights are those of whoever has it. Everyone may manage tokens of their own, also without any level.
identity-level-plain = No rights here beyond everyone's
identity-level-fixed = You lack rights that this level has, so it stays.
identity-levels-stale = No longer in the catalogue and without rights: { $levels }. Saving takes them away.
identity-create = Create Identity
identity-id = ID
identity-copy-id = Copy the ID
identity-back = All identities
identity-reset-password = Reset password…
identity-disable = Disable…
identity-enable = Enable…
identity-tokens = Tokens
identity-events-of = What happened to this identity
identity-events-by = What this identity did
identity-levels-save = Save levels
identity-none = None

password-made-title = Identity created
password-reset-title = Password reset
password-once = Copy the password now. It is shown this once and kept nowhere.
password-next = Hand it over in a safe way. The first sign-in with it asks for a new one.
password-temporary = Temporary password
password-copy = Copy the password
password-copy-login = Copy the login name
password-sign-in = Sign in at
password-done = Done

confirm-enable-title = Enable identity
confirm-enable-what = Signing in works again, and so do this identity's tokens that have not expired. Access tokens and sessions from before stay dead.
confirm-enable-button = Enable
confirm-disable-title = Disable identity
confirm-disable-what = From the next request on this identity's tokens and access tokens are refused and its sessions have ended. Nothing is deleted: enabled again, its tokens work, while access tokens and sessions from before stay dead.
confirm-disable-button = Disable
confirm-reset-password-title = Reset password
confirm-reset-password-what = The password that this identity has now stops working and its sessions end. You get a temporary one to hand over. Its tokens keep working.
confirm-reset-password-button = Reset password

error-displayName-Length = At most { NAME_CHARS() } characters.
error-displayName-Value = A name has no control characters.
error-firstname-Length = At most { NAME_CHARS() } characters.
error-firstname-Value = A name has no control characters.
error-lastname-Length = At most { NAME_CHARS() } characters.
error-lastname-Value = A name has no control characters.
error-email-Length = At most { NAME_CHARS() } characters.
error-email-Value = An email has no control characters.
error-levels-Conflict = Somebody else has changed the levels meanwhile. They are shown as they are now; nothing of yours was saved.

notice-identity-saved = The levels were saved.
notice-identity-enabled = The identity was enabled.
notice-identity-disabled = The identity was disabled. Its tokens are refused from now on.
