# Signing in and out, password, display.
sign-in = Sign in
sign-in-name = Login name
sign-in-password = Password
sign-in-help = No password yet, or forgotten? Your administrator can set a new one.
sign-in-no-name = Type your login name.
sign-in-no-password = Type your password.
sign-in-wrong = The login name or the password is wrong.
sign-in-disabled = Your password is right, but your account is disabled. Your administrator can enable it.
sign-in-stale = This form had grown stale, so nothing was done. Please sign in once more; your browser must accept cookies from here.
too-many-tries = { $count ->
    [one] Too many wrong passwords. Try again in { $count } minute.
   *[other] Too many wrong passwords. Try again in { $count } minutes.
}

sign-out-who = You are signed in as
signed-out = You are signed out
signed-out-tokens = Your tokens work on. To end one, sign in and delete it.

password-title = Change password
password-must = Somebody else has set this password. Choose one that you alone know before you go on.
password-current = Current password
password-new = New password
password-hint = At least { $count } characters. Several words that you can remember are a good one.
password-again = New password, once more
password-effect = Everywhere else you will be signed out. Your tokens work on.
password-wrong = This is not your current password.
password-differs = This is not the same as the new password.
error-new-Length = From { PASSWORD_MIN_CHARS() } to { PASSWORD_CHARS() } characters.
error-new-Value = Choose another one than the current password.
notice-password-changed = Your password was changed. Everywhere else you are signed out.

zone-label = Time zone
zone-hint = In which dates and times are shown in this browser.
zone-automatic = As this browser has it
zone-unknown = There is no such time zone.
notice-zone-saved = Saved for this browser.

elsewhere-title = Sign out everywhere else
elsewhere-since = You signed in here on
elsewhere-what = Ends your sessions in every other browser at once. This one goes on, and so do your tokens.
notice-signed-out-elsewhere = { $count ->
    [0] There was no other session.
    [one] { $count } other session was ended.
   *[other] { $count } other sessions were ended.
}
