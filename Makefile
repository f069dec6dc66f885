.DEFAULT_GOAL := help
.PHONY: help demo build test race lint fuzz bench ci

help: ## show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-6s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## run the whole way of one callback in one process
	go run ./cmd/receiver demo

build: ## build ./receiver
	go build -trimpath -o receiver ./cmd/receiver

test: ## run the tests
	go test ./...

race: ## run the tests with the race detector
	bash .ci/run race

lint: ## check format, vet and the house's rules, as CI does
	bash .ci/run format vet lint

fuzz: ## fuzz every target for FUZZTIME (30s) each
	bash .ci/run fuzz

bench: ## run the benchmarks
	go test -run=NONE -bench=. -benchmem ./...

ci: ## run everything that CI runs
	bash .ci/run
