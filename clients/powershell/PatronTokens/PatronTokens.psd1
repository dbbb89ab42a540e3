@{
    RootModule = 'PatronTokens.psm1'
    ModuleVersion = '0.1.0'
    GUID = '9f36fc14-a952-4f15-9d3e-81ae217dca75'
    Author = 'Patron'
    Description = 'Personal access tokens of Patron, and of SailPoint Identity Security Cloud, by the commands of the original product: thin functions over the program patron.'
    PowerShellVersion = '5.1'
    CompatiblePSEditions = @('Desktop', 'Core')
    FunctionsToExport = @(
        'New-PersonalAccessTokenV1'
        'Get-PersonalAccessTokensV1'
        'Get-PersonalAccessTokenV1'
        'Update-PersonalAccessTokenV1'
        'Remove-PersonalAccessTokenV1'
        'Initialize-Createpersonalaccesstokenrequest'
        'Initialize-Getpersonalaccesstokenresponse'
        'Initialize-Jsonpatchoperation'
        'ConvertFrom-JsonToCreatepersonalaccesstokenrequest'
        'ConvertFrom-JsonToGetpersonalaccesstokenresponse'
        'ConvertFrom-JsonToJsonpatchoperation'
    )
    CmdletsToExport = @()
    VariablesToExport = @()
    AliasesToExport = @()
}
