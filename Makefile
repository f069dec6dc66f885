.DEFAULT_GOAL := help
.PHONY: help demo recording images cluster build snapshot test race contract reference site release-contract lint fuzz mutate bench performance reliability ci

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## run the whole path of one callback in one process
	go run ./cmd/receiver demo

recording: ## record the demo again for README: docs/images/demo.cast and demo.svg
	go test -count=1 -run '^TestTheRecordingOfTheDemoIsFresh$$' ./cmd/receiver -record

images: ## take the pictures of the page again: docs/images/page-*.png; needs Node.js, npm and Chromium
	npm ci --ignore-scripts --prefix internal/page/browser --no-audit --no-fund --loglevel=error
	go test -tags browser -count=1 -timeout 5m -run TestImages ./internal/page/browser -args -images $(CURDIR)/docs/images

cluster: ## run three NATS servers to try out nats.mode external
	go run ./internal/cluster/up

build: ## build ./receiver
	go build -trimpath -o receiver ./cmd/receiver

snapshot: ## make all archives and packages of a release in dist/, without publishing
	bash .ci/run snapshot

test: ## run the tests
	go test ./...

race: ## run the tests with the race detector
	bash .ci/run race

contract: ## generate the code of the HTTP API from api/openapi.yaml, and check both contracts
	bash .ci/run contract asyncapi

reference: ## write the references of commands and settings again, from help texts and config.yaml
	go test ./cmd/receiver ./internal/config -run TestReference -update

site: ## build the documentation as a site with search into ./.site (Debian: mkdocs-material)
	bash .ci/run site

release-contract: ## at a release: later changes of both contracts are compared with this state
	cp api/openapi.yaml api/asyncapi.yaml api/released/

lint: ## check format, vet and the import rules, as CI does
	bash .ci/run format vet lint

fuzz: ## fuzz every target for FUZZTIME (6s) each
	bash .ci/run fuzz

mutate: ## change the code that decides, one operator at a time, and expect its tests to fail
	bash .ci/run mutate

bench: ## run the benchmarks
	go test -run=NONE -bench=. -benchmem ./...

performance: ## repeat the measurements of docs/performance.md, on an idle machine (half an hour); PEER=bento has a peer
	go run ./cmd/receiver-bench --self $(if $(PEER),--peer $(PEER) --peer-config docs/performance/bento.yaml) --duration 5s --alternations 3 >docs/performance/lanes.txt
	go run ./cmd/receiver-bench --self --lanes sealing --duration 4s --alternations 9 >docs/performance/sealing.txt
	for p in verify job callback web publish encryption; do \
	  go test -run NONE -bench '^Benchmark(Verify|Read|ReadBrief|Header|Accept|Callback|Step|Encrypt|Decrypt)$$' -benchmem -count 6 ./internal/$$p >docs/performance/$$p.txt || exit 1; \
	done
	go test -tags e2e -count=1 -timeout 30m -v -run '^(TestUpload|TestVerifyOfAMillion)' ./cmd/receiver

reliability: ## repeat the tests of docs/reliability.md, and print its tables
	@log=$$(mktemp) && trap 'rm -f "$$log"' EXIT && \
	go test -tags e2e -count=1 -parallel 1 -timeout 45m -v -run '^TestReliability' ./cmd/receiver >"$$log" 2>&1 || { cat "$$log"; exit 1; }; \
	echo '| run | test | jobs | acknowledged | finished | doubled | lost | overdue | time |'; \
	echo '| --- | --- | --: | --: | --: | --: | --: | --: | --: |'; \
	sed -n '/`TestReliabilityCluster/d; /`TestReliabilityStore/d; /`TestReliabilityReceivers/d; /`TestReliabilitySoak/d; s/^ *\(| .* |\)$$/\1/p' "$$log" | LC_ALL=C sort -t'|' -k3,3; \
	echo; \
	echo '| fault | test | acknowledged | stored | doubled | 503 | recovery |'; \
	echo '| --- | --- | --: | --: | --: | --: | --: |'; \
	sed -n '/`TestReliabilityCluster/s/^ *\(| .* |\)$$/\1/p' "$$log" | LC_ALL=C sort -t'|' -k3,3; \
	echo; \
	echo '| fault | test | acknowledged | stored | doubled | 503 | time |'; \
	echo '| --- | --- | --: | --: | --: | --: | --: |'; \
	sed -n '/`TestReliabilityStore/s/^ *\(| .* |\)$$/\1/p' "$$log" | LC_ALL=C sort -t'|' -k3,3; \
	echo; \
	echo '| processors | one: callbacks/s | three: callbacks/s | three / one | p99, three / one | test |'; \
	echo '| --: | --: | --: | --: | --: | --- |'; \
	sed -n '/`TestReliabilityReceivers/s/^ *\(| .* |\)$$/\1/p' "$$log"; \
	echo; \
	echo '| test | after | callbacks answered 200 | memory of the receiver | bytes a job since the first row |'; \
	echo '| --- | --: | --: | --: | --: |'; \
	sed -n '/`TestReliabilitySoak/s/^ *\(| .* |\)$$/\1/p' "$$log"

ci: ## run everything that CI runs
	bash .ci/run
