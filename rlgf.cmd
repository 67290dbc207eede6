@echo off
rem Builds what has changed, then runs the command: rlgf quickstart
setlocal
set "root=%~dp0"
set "program=%root%src\Rlgf.Cli\bin\Release\net10.0\Rlgf.Cli.dll"
if not defined TORCH_BACKEND set "TORCH_BACKEND=cpu"

where dotnet >nul 2>nul
if errorlevel 1 (
    echo error: dotnet is not on the path; install the .NET 10 SDK 1>&2
    exit /b 1
)

rem The build is none of the command's output, unless it fails.
set "log=%TEMP%\rlgf-build-%RANDOM%-%RANDOM%.log"
pushd "%root%"
dotnet build src\Rlgf.Cli -c Release --nologo -v quiet "-clp:ErrorsOnly;NoSummary" "-p:TorchBackend=%TORCH_BACKEND%" >"%log%" 2>&1
if errorlevel 1 (
    popd
    type "%log%" 1>&2
    del "%log%"
    echo error: the build failed 1>&2
    exit /b 1
)
popd
del "%log%"

dotnet "%program%" %*
exit /b %errorlevel%
