# Administration → Dashboard and All tokens.
number = { $count }
dashboard-lead = The tokens of everyone here. A number leads to the tokens that it counts.
stat-all = Tokens
stat-expiring = Expire within { $count } days
stat-unused = Not used for { $count } days
chart-table = The numbers
chart-tokens = Tokens
chart-week = Week
chart-uses = Tokens by last use
chart-weeks = Tokens that expire, by week
chart-owners = Tokens that never expire, by owner
chart-no-tokens = There are no tokens yet.
chart-no-weeks = No token expires in the next { CHART_WEEKS() } weeks.
chart-no-owners = Every token has an expiry date.
uses-days = { $days } days ago
uses-longer = Over { $count } days ago
weeks-from = From { $day }

all-tokens-lead = Everyone's tokens, who made them and when they were last used.
filter-text = Name, owner or Client ID
filter-owner = Owner's login name
filter-scope = Scope
filter-any = Any
filter-unused = Not used for …
filter-unused-days = Days unused
filter-within = Within …
filter-within-days = Days left
filter-live = Active
filter-expired = Expired
filter-managed = Managed
filter-managed-only = Managed only
filter-managed-without = Without managed
filter-nobody = There is nobody with the login name “{ $name }”.
column-owner = Owner
column-ticked = Ticked
tick-page = Tick all on this page
tick-name = Tick { $name }
state-managed = Managed
state-owner-disabled = Owner disabled
rows-range = { $first }–{ $last } of { $total }
rows-range-more = { $first }–{ $last } of more than { $total }
rows-range-end = { $first }–{ $last } of more than { $total }. Narrow the list with the filters to see others.

bulk-title = Change many at once
bulk-which = Which tokens
bulk-ticked = Those that are ticked
bulk-all = { $count ->
    [one] The one that matches
   *[other] All { $count } that match
}
bulk-all-more = All that match, more than { $count }
bulk-expire-until = New expiry
bulk-date = Day of the new expiry
bulk-date-hint = Until the end of the day in { $zone }.
bulk-expire = Set expiry…
bulk-delete = Delete…
bulk-shown-first = Before anything happens, you see which tokens it happens to.
bulk-none = Choose at least one token. Those that somebody else has deleted meanwhile are gone.
bulk-too-many-more = That would be more than { $count } tokens. At most { $most } can be changed at once; narrow the list with the filters.
bulk-too-many = That would be { $count } tokens. At most { $most } can be changed at once; narrow the list with the filters.

preview-delete-title = Delete these tokens?
preview-expire-title = Set a new expiry?
preview-changed = The tokens that match have changed since you looked. This is how they are now; nothing has been done yet.
preview-tokens = { $people ->
    [one] { $tokens ->
        [one] { $tokens } token of { $people } person
       *[other] { $tokens } tokens of { $people } person
    }
   *[other] { $tokens } tokens of { $people } people
}
preview-delete-what = Whatever uses them stops working at once: they and every access token made from them are refused. This cannot be undone.
preview-expire-what = They all expire on { $day }, whatever their expiry is now.
preview-later = { $count ->
    [one] { $count } of them expires sooner than that now, and will work longer.
   *[other] { $count } of them expire sooner than that now, and will work longer.
}
preview-revived = { $count ->
    [one] { $count } of them has expired, and will work again.
   *[other] { $count } of them have expired, and will work again.
}
preview-none-left = There is nothing left to do.
preview-refused = { $count ->
    [one] { $count } token is left out:
   *[other] { $count } tokens are left out:
}
preview-refused-delete = your rights do not let you delete it.
preview-refused-expire = the platform manages it, and your rights do not let you change that.
preview-delete = { $count ->
    [one] Delete { $count } token
   *[other] Delete { $count } tokens
}
preview-expire = { $count ->
    [one] Set the expiry of { $count } token
   *[other] Set the expiry of { $count } tokens
}
preview-listed = The tokens
preview-refused-listed = Left out
preview-more = and { $count } more.

stopped-title = Not all of it was done
stopped-deleted = { $count ->
    [one] { $count } token was deleted.
   *[other] { $count } tokens were deleted.
}
stopped-changed = { $count ->
    [one] { $count } token was changed.
   *[other] { $count } tokens were changed.
}
stopped-left = { $count ->
    [one] { $count } token was not, and is as it was.
   *[other] { $count } tokens were not, and are as they were.
}
stopped-time = It took too long. Choose the rest of them again to go on.
stopped-tracking = When you report this, name the tracking id
stopped-back = Back to the tokens

one-aware = acknowledged by its owner
one-of-owner = All tokens of its owner
one-audit = Its audit trail
one-back = All tokens

notice-tokens-deleted = { $count ->
    [one] { $count } token was deleted. It and every access token made from it are refused from now on.
   *[other] { $count } tokens were deleted. They and every access token made from them are refused from now on.
}
notice-tokens-expiry-set = { $count ->
    [one] { $count } token has its new expiry.
   *[other] { $count } tokens have their new expiry.
}
