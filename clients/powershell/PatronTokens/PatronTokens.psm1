# The commands of the original product's module for personal access tokens, each one run of `patron` with --json, which
# knows the server and the credential (`patron login`, or SAIL_BASE_URL, SAIL_CLIENT_ID and SAIL_CLIENT_SECRET).
# Bodies go over stdin, since others can read arguments. For PowerShell 7 where patron runs; nothing here is beyond
# Windows PowerShell 5.1.

# Arguments as one line, quoted as every C runtime reads it: Windows PowerShell knows no list of them.
function ConvertTo-CommandLine {
    param([string[]] $Arguments)
    $quoted = foreach ($argument in $Arguments) {
        '"' + ($argument -replace '(\\*)"', '$1$1\"' -replace '(\\+)$', '$1$1') + '"'
    }
    $quoted -join ' '
}

# Runs `patron`, gives what it writes on stdout, and throws what it says on stderr when it fails.
function Invoke-Patron {
    param([string[]] $Arguments, [string] $Body = '')
    $utf8 = New-Object -TypeName System.Text.UTF8Encoding -ArgumentList $false
    $start = New-Object -TypeName System.Diagnostics.ProcessStartInfo
    $start.FileName = 'patron'
    $start.Arguments = ConvertTo-CommandLine -Arguments $Arguments
    # PowerShell's folder need not be the process's, and credentials may be in ./config.json.
    $start.WorkingDirectory = (Get-Location -PSProvider FileSystem).ProviderPath
    $start.UseShellExecute = $false
    $start.CreateNoWindow = $true
    $start.RedirectStandardInput = $true
    $start.RedirectStandardOutput = $true
    $start.RedirectStandardError = $true
    $start.StandardOutputEncoding = $utf8
    $start.StandardErrorEncoding = $utf8
    $process = [System.Diagnostics.Process]::Start($start)
    try {
        $output = $process.StandardOutput.ReadToEndAsync()
        $problem = $process.StandardError.ReadToEndAsync()
        Write-Body -Stream $process.StandardInput.BaseStream -Bytes $utf8.GetBytes($Body)
        $process.WaitForExit()
        if ($process.ExitCode -ne 0) {
            throw (New-PatronError -Text $problem.Result)
        }
        $output.Result
    } finally {
        $process.Dispose()
    }
}

# Writes bytes as they are: the text writer of a process would put them into the console's encoding.
function Write-Body {
    param([System.IO.Stream] $Stream, [byte[]] $Bytes)
    try {
        $Stream.Write($Bytes, 0, $Bytes.Length)
        $Stream.Close()
    } catch [System.IO.IOException] {
        Write-Debug -Message 'patron has ended before it read all; its exit code says why.'
    }
}

# What to throw. The last line on stderr is the JSON object that says why, unless the program itself is broken. Scripts
# look at Exception.Response.StatusCode.value__, which is empty where no server has answered.
function New-PatronError {
    param([string] $Text)
    $last = @($Text.Trim() -split '\r?\n')[-1]
    $told = $null
    try {
        $told = ConvertFrom-Json -InputObject $last
    } catch {
        Write-Debug -Message 'No JSON: the line itself is the message.'
    }
    $message = $last
    $response = $null
    if ($told.error) {
        $message = $told.error
    }
    if ($told.status) {
        # Not every status has a name in Windows PowerShell, whose conversions take only those that have.
        $code = [System.Enum]::ToObject([System.Net.HttpStatusCode], [int] $told.status)
        $response = [PSCustomObject] @{ StatusCode = $code }
    }
    $exception = [System.Exception]::new($message)
    Add-Member -InputObject $exception -NotePropertyName 'Response' -NotePropertyValue $response
    $category = [System.Management.Automation.ErrorCategory]::NotSpecified
    $record = [System.Management.Automation.ErrorRecord]::new($exception, 'PatronFailed', $category, $null)
    $record.ErrorDetails = [System.Management.Automation.ErrorDetails]::new($last)
    $record
}

# A date as the API has it.
function ConvertTo-ApiDate {
    param([System.Nullable[System.DateTime]] $Date)
    if ($null -eq $Date) {
        return $null
    }
    $invariant = [System.Globalization.CultureInfo]::InvariantCulture
    $Date.ToUniversalTime().ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", $invariant)
}

# Reads one object or several: all that is required is there, nothing that is not known, and for what is left out there
# are its defaults.
function Read-Model {
    param([string] $Json, [string[]] $Required, [string[]] $Optional, [System.Collections.IDictionary] $Defaults = @{})
    foreach ($object in (ConvertFrom-Json -InputObject $Json)) {
        $names = @($object.PSObject.Properties | ForEach-Object { $_.Name })
        foreach ($name in $Required) {
            if ($names -notcontains $name) {
                throw "The JSON lacks '$name', which is required."
            }
        }
        foreach ($name in $names) {
            if (($Required + $Optional) -notcontains $name) {
                throw "The JSON has '$name', which is none of: $(($Required + $Optional) -join ', ')."
            }
        }
        foreach ($name in $Defaults.Keys) {
            if ($names -notcontains $name) {
                Add-Member -InputObject $object -NotePropertyName $name -NotePropertyValue $Defaults[$name]
            }
        }
        $object
    }
}

<#
.SYNOPSIS
Creates a personal access token. The answer is the only place where its secret is shown.
#>
function New-PersonalAccessTokenV1 {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, Position = 0, ValueFromPipeline = $true)]
        [PSCustomObject] $Createpersonalaccesstokenrequest
    )
    process {
        $body = ConvertTo-Json -InputObject $Createpersonalaccesstokenrequest -Depth 10 -Compress
        ConvertFrom-Json -InputObject (Invoke-Patron -Arguments 'pat', 'create', '--json', '--body', '-' -Body $body)
    }
}

<#
.SYNOPSIS
Lists personal access tokens: everyone's, or those of one identity ("me" is oneself), all or those that a filter finds.
#>
function Get-PersonalAccessTokensV1 {
    [CmdletBinding()]
    param(
        [Parameter(Position = 0, ValueFromPipelineByPropertyName = $true)]
        [string] $OwnerId,
        [Parameter(Position = 1, ValueFromPipelineByPropertyName = $true)]
        [string] $Filters
    )
    process {
        $arguments = @('pat', 'list', '--json')
        if ($OwnerId) {
            $arguments += "--owner=$OwnerId"
        } else {
            $arguments += '--all'
        }
        if ($Filters) {
            $arguments += "--filters=$Filters"
        }
        # Windows PowerShell gives an array as one object; from a variable its elements follow one by one.
        $list = ConvertFrom-Json -InputObject (Invoke-Patron -Arguments $arguments)
        $list
    }
}

<#
.SYNOPSIS
Gets one personal access token by its id.
#>
function Get-PersonalAccessTokenV1 {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, Position = 0, ValueFromPipelineByPropertyName = $true)]
        [string] $Id
    )
    process {
        ConvertFrom-Json -InputObject (Invoke-Patron -Arguments 'pat', 'get', '--json', '--', $Id)
    }
}

<#
.SYNOPSIS
Changes name, scope or expiry of a personal access token by a JSON Patch: all of it, or nothing.
#>
function Update-PersonalAccessTokenV1 {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, Position = 0, ValueFromPipelineByPropertyName = $true)]
        [string] $Id,
        [Parameter(Mandatory = $true, Position = 1)]
        [PSCustomObject[]] $Jsonpatchoperation
    )
    process {
        # Not through the pipeline, which would make one operation an object where a list of one is meant.
        $body = ConvertTo-Json -InputObject @($Jsonpatchoperation) -Depth 10 -Compress
        ConvertFrom-Json -InputObject (
            Invoke-Patron -Arguments 'pat', 'patch', '--json', '--patch', '-', '--', $Id -Body $body
        )
    }
}

<#
.SYNOPSIS
Deletes a personal access token, and with it every access token that was made from it.
#>
function Remove-PersonalAccessTokenV1 {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, Position = 0, ValueFromPipelineByPropertyName = $true)]
        [string] $Id
    )
    process {
        $null = Invoke-Patron -Arguments 'pat', 'delete', '--json', '--yes', '--', $Id
    }
}

<#
.SYNOPSIS
Prepares the request for a new personal access token. What is not said is not sent.
#>
function Initialize-Createpersonalaccesstokenrequest {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, ValueFromPipelineByPropertyName = $true)]
        [string] $Name,
        [Parameter(ValueFromPipelineByPropertyName = $true)]
        [string[]] $Scope,
        [Parameter(ValueFromPipelineByPropertyName = $true)]
        [System.Nullable[int]] $AccessTokenValiditySeconds,
        [Parameter(ValueFromPipelineByPropertyName = $true)]
        [System.Nullable[System.DateTime]] $ExpirationDate,
        [Parameter(ValueFromPipelineByPropertyName = $true)]
        [System.Nullable[bool]] $UserAwareTokenNeverExpires
    )
    process {
        $request = [ordered] @{ name = $Name }
        if ($PSBoundParameters.ContainsKey('Scope')) {
            $request['scope'] = $Scope
        }
        if ($PSBoundParameters.ContainsKey('AccessTokenValiditySeconds')) {
            $request['accessTokenValiditySeconds'] = $AccessTokenValiditySeconds
        }
        if ($PSBoundParameters.ContainsKey('ExpirationDate')) {
            $request['expirationDate'] = ConvertTo-ApiDate -Date $ExpirationDate
        }
        if ($PSBoundParameters.ContainsKey('UserAwareTokenNeverExpires')) {
            $request['userAwareTokenNeverExpires'] = $UserAwareTokenNeverExpires
        }
        [PSCustomObject] $request
    }
}

<#
.SYNOPSIS
Prepares a personal access token as lists show it.
#>
function Initialize-Getpersonalaccesstokenresponse {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, ValueFromPipelineByPropertyName = $true)]
        [string] $Id,
        [Parameter(Mandatory = $true, ValueFromPipelineByPropertyName = $true)]
        [string] $Name,
        [Parameter(Mandatory = $true, ValueFromPipelineByPropertyName = $true)]
        [string[]] $Scope,
        [Parameter(Mandatory = $true, ValueFromPipelineByPropertyName = $true)]
        [PSCustomObject] $Owner,
        [Parameter(Mandatory = $true, ValueFromPipelineByPropertyName = $true)]
        [System.DateTime] $Created,
        [Parameter(ValueFromPipelineByPropertyName = $true)]
        [System.Nullable[System.DateTime]] $LastUsed,
        [Parameter(ValueFromPipelineByPropertyName = $true)]
        [System.Nullable[bool]] $Managed = $false,
        [Parameter(ValueFromPipelineByPropertyName = $true)]
        [System.Nullable[int]] $AccessTokenValiditySeconds = 43200,
        [Parameter(ValueFromPipelineByPropertyName = $true)]
        [System.Nullable[System.DateTime]] $ExpirationDate,
        [Parameter(ValueFromPipelineByPropertyName = $true)]
        [System.Nullable[bool]] $UserAwareTokenNeverExpires = $false
    )
    process {
        [PSCustomObject] @{
            id = $Id
            name = $Name
            scope = $Scope
            owner = $Owner
            created = ConvertTo-ApiDate -Date $Created
            lastUsed = ConvertTo-ApiDate -Date $LastUsed
            managed = $Managed
            accessTokenValiditySeconds = $AccessTokenValiditySeconds
            expirationDate = ConvertTo-ApiDate -Date $ExpirationDate
            userAwareTokenNeverExpires = $UserAwareTokenNeverExpires
        }
    }
}

<#
.SYNOPSIS
Prepares one operation of a JSON Patch. A value is sent when it is given, null too.
#>
function Initialize-Jsonpatchoperation {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, ValueFromPipelineByPropertyName = $true)]
        [ValidateSet('add', 'remove', 'replace', 'move', 'copy', 'test')]
        [string] $Op,
        [Parameter(Mandatory = $true, ValueFromPipelineByPropertyName = $true)]
        [string] $Path,
        [Parameter(ValueFromPipelineByPropertyName = $true)]
        [AllowNull()]
        [object] $Value,
        [Parameter(ValueFromPipelineByPropertyName = $true)]
        [string] $From
    )
    process {
        $operation = [ordered] @{ op = $Op; path = $Path }
        if ($PSBoundParameters.ContainsKey('Value')) {
            $operation['value'] = $Value
        }
        if ($PSBoundParameters.ContainsKey('From')) {
            $operation['from'] = $From
        }
        [PSCustomObject] $operation
    }
}

<#
.SYNOPSIS
Reads the request for a new personal access token from JSON.
#>
function ConvertFrom-JsonToCreatepersonalaccesstokenrequest {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, Position = 0)]
        [string] $Json
    )
    $expiry = 'expirationDate', 'userAwareTokenNeverExpires'
    $optional = @('scope', 'accessTokenValiditySeconds') + $expiry + @('managed', 'ownerId')
    Read-Model -Json $Json -Required 'name' -Optional $optional
}

<#
.SYNOPSIS
Reads a personal access token from JSON; what is left out has the model's defaults.
#>
function ConvertFrom-JsonToGetpersonalaccesstokenresponse {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, Position = 0)]
        [string] $Json
    )
    $defaults = [ordered] @{
        lastUsed = $null
        managed = $false
        accessTokenValiditySeconds = 43200
        expirationDate = $null
        userAwareTokenNeverExpires = $false
    }
    $required = 'id', 'name', 'scope', 'owner', 'created'
    Read-Model -Json $Json -Required $required -Optional @($defaults.Keys) -Defaults $defaults
}

<#
.SYNOPSIS
Reads the operations of a JSON Patch from JSON.
#>
function ConvertFrom-JsonToJsonpatchoperation {
    [CmdletBinding()]
    param(
        [Parameter(Mandatory = $true, Position = 0)]
        [string] $Json
    )
    Read-Model -Json $Json -Required 'op', 'path' -Optional 'value', 'from'
}
