# What went wrong. `error-<field>-<rule>` stands in the place of a rule's own text, which speaks of JSON fields.
error-title = That did not work
error-tracking = Status { $status }, tracking id
error-home = Back to my tokens

error-name-Missing = Give it a name.
error-name-Length = At most { NAME_CHARS() } characters.
error-name-Value = A name has no control characters.
error-expirationDate-Value = Choose a day that is still to come.
error-userAwareTokenNeverExpires-Content = Tick the box to say that you know what a token that never expires means.
error-accessTokenValiditySeconds-Value = From { VALIDITY_MIN_SECONDS() } to { VALIDITY_MAX_SECONDS() } seconds.
