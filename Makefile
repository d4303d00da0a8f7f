# `make repro` runs the study, `make test` the tests; each makes the environment it needs.

VENV := .venv
BIN := $(VENV)/bin
# faiss for the GPU where the machine has one; both packages provide the module `faiss`
FAISS := $(if $(shell command -v nvidia-smi 2>/dev/null),gpu,cpu)
# what torch installs and no CPU needs: 1.3 of 6.6 GB
LEAVE_OUT := $(if $(filter cpu,$(FAISS)),--excludes without-gpu.txt)
UV := uv==0.13.9
BROWSER := $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
export PATH := $(CURDIR)/$(BIN):$(PATH)

# what `make table` shows: the full pool's accuracy, the drop of every hull split on its own test set
# against the random split of its size, and of the parameters those that are varied most
TABLE := Experiment$$|.*accuracy\.full-0\.val$$|.*drop\.hull-(?P<own>\w+)\.(?P=own)$$|deduplicate\.threshold$$|KEEP

.PHONY: repro study test table plots browser check-lock lock clean help

help: ## what can be made
	@grep -hE '^[a-z-]+:.*##' Makefile | sed 's/:.*## /\t/' | expand -t 14

repro: $(VENV)/.main ## run whatever of the default study is not up to date, or of STUDY=x; JOBS=2 stages at once; SCALE=0.01: a rehearsal
	@$(if $(PRESET),echo "PRESET is STUDY now: make repro STUDY=$(PRESET)" >&2; false)
	python -m clipcause repro --jobs "$(or $(JOBS),1)" $(if $(STUDY),--study "$(STUDY)") $(if $(SCALE),--scale "$(SCALE)")
	@cd $(if $(STUDY),studies/$(STUDY)$(if $(SCALE),-rehearsal-$(subst .,_,$(SCALE))),.) && python -m clipcause replicate --short && cat report/answer.md && echo "The page: $$PWD/report/index.html"

study: $(VENV)/.main ## a study of your own: NAME=mine, FROM=own or another, DATA=the folder of your pictures
	@python -m clipcause study $(NAME) $(if $(FROM),--from $(FROM)) $(if $(DATA),--data "$(DATA)") --stand "$(PWD)"

table: $(VENV)/.main ## experiments, a line each, a few columns; KEEP='regex' adds columns, REV='-n 3' or '-A' commits
	dvc exp show --no-pager --precision 3 --drop '.*' --keep '$(subst KEEP,$(or $(KEEP),Experiment),$(TABLE))' $(REV)

plots: $(VENV)/.main ## the plots as a page that needs no network, of STUDY=x too; REV='main' or 'a b' compares revisions
	cd $(if $(STUDY),studies/$(STUDY),.) && python -m clipcause plots && $(if $(REV),dvc plots diff $(REV),dvc plots show)

browser:
	@[ -n "$(BROWSER)" ] || [ "$$(id -u)" != 0 ] || ! command -v apt-get >/dev/null || { echo "installing Debian's chromium for the tests of the page"; \
	  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium; } >/dev/null 2>&1; } \
	  || { echo "apt-get could not install chromium; the tests of the page need it$(if $(REQUIRE_BROWSER)$(CI),, and are skipped)" >&2; $(if $(REQUIRE_BROWSER)$(CI),false,true); }

test: $(VENV)/.test browser ## lint, types, parameters, dvc.lock against code, tests
	ruff check .
	ruff format --check .
	ty check stages clipcause tests benchmarks
	for study in default $(notdir $(wildcard studies/*)); do python -m clipcause check $$study >/dev/null || exit 1; done
	python -m tests.lock
	OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadfile

lock: $(VENV)/.main ## take the newest versions that pyproject.toml allows into constraints.txt
	{ echo '# Exact versions of everything the project installs; no hosts, no hashes. Made by `make lock`.'; \
	  uv pip compile pyproject.toml --universal --python-version 3.11 --upgrade --extra cpu --extra test --extra npm --extra ray --extra s3 --extra gcs --extra heif --extra transformers --extra language \
	    --no-header --no-annotate --no-emit-index-url -q; \
	  uv pip compile pyproject.toml --universal --python-version 3.11 --upgrade --extra gpu \
	    --no-header --no-annotate --no-emit-index-url -q | grep '^faiss-gpu'; } > constraints.new
	mv constraints.new constraints.txt

clean: ## remove the environment; data and results stay
	rm -rf $(VENV)

$(BIN)/uv:
	@python=$$(for p in "$$PYTHON" python3.12 python3.13 python3.11 python3; do \
	  [ -n "$$p" ] && "$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$p && break; \
	done); \
	[ -n "$$python" ] || { echo "No Python 3.11, 3.12 or 3.13 found; install one, or name it: make PYTHON=/path/to/python" >&2; exit 1; }; \
	echo "making $(VENV) with $$python"; \
	"$$python" -m venv $(VENV) || { echo "$$python cannot make an environment; on Debian: apt-get install python3-venv" >&2; exit 1; }; \
	$(BIN)/python -m pip install -q --disable-pip-version-check $(UV) || { rm -rf $(VENV); echo "pip could not bring $(UV); is there a network?" >&2; exit 1; }

$(VENV)/.main: pyproject.toml constraints.txt without-gpu.txt | $(BIN)/uv
	VIRTUAL_ENV=$(VENV) uv pip install -q --compile-bytecode -e ".[$(FAISS)]" -c constraints.txt --build-constraints constraints.txt $(LEAVE_OUT) \
	  || { echo "the packages could not be installed; is there a network?" >&2; exit 1; }
	@touch $@

$(VENV)/.test: pyproject.toml constraints.txt without-gpu.txt | $(BIN)/uv
	VIRTUAL_ENV=$(VENV) uv pip install -q --compile-bytecode -e ".[$(FAISS),test]" -c constraints.txt --build-constraints constraints.txt $(LEAVE_OUT) \
	  || { echo "the packages could not be installed; is there a network?" >&2; exit 1; }
	@touch $@ $(VENV)/.main
