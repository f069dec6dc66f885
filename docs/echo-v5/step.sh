#!/usr/bin/env bash
# Takes the step from Echo v4 to v5 in the folder where it runs: the new module, the new type of the context, the
# server's code generated anew, and the few places in rest.patch that need more than another name. CI takes the step in a
# copy and runs the tests there (`bash .ci/run echo5`), so it can be taken on any day. $1 is the command oapi-codegen.
set -euo pipefail
generate=${1:?the path of oapi-codegen}
version=v5.4.6 # renovate: go github.com/labstack/echo/v5

mapfile -t files < <(grep -rl --include='*.go' --exclude-dir=node_modules 'github.com/labstack/echo/v4' .)
sed -i 's#github.com/labstack/echo/v4#github.com/labstack/echo/v5#' "${files[@]}"
sed -i -E 's/(^|[^*[:alnum:]])echo\.Context\b/\1*echo.Context/g' "${files[@]}"
sed -i 's/echo-server: true/echo5-server: true/' internal/web/apiserver/server.yaml
sed -i -E 's/\bc\.Error\(err\)/c.Echo().HTTPErrorHandler(c, err)/; s/\bc\.Response\(\)\.(Status|Committed)\b/answered(c).\1/; s/\bh\.Routes\(\)/h.Router().Routes()/' internal/web/*.go
sed -i -E '/\) problem\(/!s/\(err error, c \*echo\.Context\)/(c *echo.Context, err error)/' internal/web/{public,problem,web}.go
git apply -C1 docs/echo-v5/rest.patch
go get "github.com/labstack/echo/v5@$version"
"$generate" --config internal/web/apiserver/server.yaml api/openapi.yaml
go mod tidy
