"""The trainable policy and the graph it is served by: the real encoder, real trl, real onnxruntime.

What trains is imported inside the tests, as that takes seconds and every process reads this file.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from safetensors.numpy import load_file, save

from structrag.errors import RoutingError, TrainingDataError
from structrag.router import RoutingRequest
from structrag.router.artefact import EncoderShape, PolicySettings, read_settings, write_artefact
from structrag.router.base_model import model_folder
from structrag.router.policy_router import PolicyRouter
from structrag.router.preferences import PreferencePair
from structrag.router.questions import LabelledQuestion, label_pairs, read_domain
from structrag.router.template import render
from structrag.router.training_settings import TrainingSettings, TrainingStep
from structrag.router.versions import shipped_folder
from structrag.types import StructureType
from structrag.usage import UsageMeter

if TYPE_CHECKING:
    import torch

    from structrag.router.policy import EncoderPolicy

pytestmark = pytest.mark.training
PREFERENCES = Path(__file__).parents[1] / "corpora" / "preferences"
QUESTIONS = ["Which shop sold most in May?", "how do i reset the pump, it hums", "Who taught the teacher of Ann Lee?"]


@pytest.fixture(scope="module")
def base() -> Path:
    return model_folder("embedded")


@pytest.fixture(scope="module")
def policy(base: Path) -> EncoderPolicy:
    """A policy whose LoRA layers and head are not zero."""
    import torch

    from structrag.router.policy import load_policy

    torch.manual_seed(1)
    made, _ = load_policy(base, rank=4)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.05)
        made.lm_head.weight[1:6, :-1].normal_(std=0.1)
    return made.eval()


def encoded(policy_base: Path, texts: list[str]) -> dict[str, torch.Tensor]:
    from structrag.router.policy import load_policy

    _, tokenizer = load_policy(policy_base, rank=4)
    return dict(tokenizer(texts, padding=True, return_tensors="pt"))


class TestPolicy:
    def test_the_label_that_follows_a_prompt_is_not_seen(self, policy: EncoderPolicy, base: Path) -> None:
        import torch

        from structrag.router.policy import END_TOKEN, LABEL_TOKENS

        prompt = render(RoutingRequest(QUESTIONS[0]))
        texts = [prompt, *(f"{prompt}{label}{END_TOKEN}" for label in LABEL_TOKENS.values())]
        inputs = encoded(base, texts)
        with torch.no_grad():
            logits = policy.label_logits(inputs["input_ids"], inputs["attention_mask"])
        assert torch.allclose(logits, logits[:1].expand_as(logits), atol=1e-5)
        assert logits[0].std() > 0.01

    def test_a_prompt_is_a_prefix_of_prompt_and_completion(self, base: Path) -> None:
        from structrag.router.policy import END_TOKEN, LABEL_TOKENS, load_policy

        _, tokenizer = load_policy(base, rank=4)
        prompt = render(RoutingRequest(QUESTIONS[0]))
        alone = tokenizer(prompt)["input_ids"]
        for label in LABEL_TOKENS.values():
            both = tokenizer(f"{prompt}{label}{END_TOKEN}")["input_ids"]
            assert both[: len(alone)] == alone
            assert len(both) == len(alone) + 2

    def test_the_end_follows_a_label_and_nothing_else(self, policy: EncoderPolicy, base: Path) -> None:
        import torch

        from structrag.router.policy import END_TOKEN, LABEL_TOKENS, load_policy

        inputs = encoded(base, [f"{render(RoutingRequest(QUESTIONS[0]))}{LABEL_TOKENS[StructureType.GRAPH]}"])
        _, tokenizer = load_policy(base, rank=4)
        end = tokenizer.convert_tokens_to_ids(END_TOKEN)
        with torch.no_grad():
            shares = policy(inputs["input_ids"], inputs["attention_mask"]).logits[0].softmax(-1)
        assert shares[-1, end] > 0.999
        assert shares[-2, end] < 0.001

    def test_only_lora_layers_and_head_are_trained(self, policy: EncoderPolicy) -> None:
        trained = {name for name, parameter in policy.named_parameters() if parameter.requires_grad}
        assert trained
        assert all("lora_" in name or name.startswith("lm_head.") for name in trained)


def test_the_graph_computes_what_the_policy_does(policy: EncoderPolicy, base: Path) -> None:
    import onnxruntime
    import torch

    from structrag.router import encoder_graph
    from structrag.router.encoder_scorer import merge
    from structrag.router.policy import LORA_SCALE
    from structrag.router.trainable import adapter_weights

    adapter = {name: value.astype(np.float32) for name, value in adapter_weights(policy.pooled.encoder).items()}
    adapter |= {name: value.numpy() for name, value in policy.head_weights().items()}
    weights = merge(load_file(base / "model.safetensors"), adapter, LORA_SCALE)
    graph = encoder_graph.build(weights, EncoderShape(6, 12, 384, 1e-12))
    inputs = encoded(base, [render(RoutingRequest(question)) for question in QUESTIONS])
    with torch.no_grad():
        wanted = policy.label_logits(inputs["input_ids"], inputs["attention_mask"]).numpy()
    session = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    rows = [ids[seen.bool()][None] for ids, seen in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)]
    found = np.concatenate([session.run(["logits"], {"input_ids": row.numpy()})[0] for row in rows])
    assert np.ptp(wanted) > 0.1
    assert np.abs(found - wanted).max() < 0.01


@pytest.fixture(scope="module")
def questions() -> list[LabelledQuestion]:
    found: list[LabelledQuestion] = []
    for path in sorted((PREFERENCES / "questions").glob("*.jsonl"))[:2]:
        found += read_domain(path, PREFERENCES / "documents" / path.name)
    return found


class TestFitting:
    @pytest.mark.slow  # tests/test_router_retraining.py does the same on short questions without documents
    def test_a_version_is_trained_by_trl_calibrated_and_served(
        self, questions: list[LabelledQuestion], tmp_path: Path
    ) -> None:
        from structrag.router.fitting import fit

        steps: list[TrainingStep] = []
        pairs = label_pairs(questions[:60])[:120]
        settings = TrainingSettings(rank=4, sft_epochs=2, dpo_epochs=1, batch=8)
        folder = fit(pairs, questions[60:180], tmp_path / "home", settings, steps.append)
        assert {step.stage for step in steps} == {"sft", "dpo"}
        assert [path.name for path in (tmp_path / "home").glob("[!.]*")] == [folder.name]
        assert not list((tmp_path / "home").glob(".training-*/")), "the checkpoints are gone"
        router = PolicyRouter(folder, tmp_path / "cache")
        assert router.settings.metrics["held_out"] == 120
        route = router.route(RoutingRequest(QUESTIONS[0]), UsageMeter())
        assert sum(route.probabilities.values()) == pytest.approx(1.0)
        assert route.unsure == (route.confidence < router.settings.unsure_below)
        assert route.router == f"policy:{folder.name}"

    def test_what_is_held_out_must_not_be_trained_on(self, questions: list[LabelledQuestion], tmp_path: Path) -> None:
        from structrag.router.fitting import fit

        with pytest.raises(TrainingDataError, match="trained on as well"):
            fit(label_pairs(questions), questions[:120], tmp_path, TrainingSettings())
        with pytest.raises(TrainingDataError, match="too few to calibrate"):
            fit(label_pairs(questions[:9]), questions[9:50], tmp_path, TrainingSettings())
        with pytest.raises(TrainingDataError, match="no preference pairs"):
            fit([], questions, tmp_path, TrainingSettings())
        assert list(tmp_path.iterdir()) == []


class TestShippedQuestions:
    def test_every_domain_is_read_and_balanced(self) -> None:
        files = sorted((PREFERENCES / "questions").glob("*.jsonl"))
        assert len(files) >= 30
        everything = [q for path in files for q in read_domain(path, PREFERENCES / "documents" / path.name)]
        assert len(everything) >= 3000
        assert len({q.id for q in everything}) == len({q.request.question.casefold() for q in everything})
        counts = Counter(q.structure for q in everything)
        assert max(counts.values()) - min(counts.values()) < 0.02 * len(everything)
        assert sum(q.hard for q in everything) >= len(everything) / 4

    def test_no_question_names_its_label(self) -> None:
        words = {str(s) for s in StructureType} | {"catalog"}
        for path in (PREFERENCES / "questions").glob("*.jsonl"):
            for question in read_domain(path, PREFERENCES / "documents" / path.name):
                assert not words & set(question.request.question.casefold().split()), question.id

    def test_test_questions_are_nowhere_trained_on(self) -> None:
        trained = {
            q.request.question.casefold()
            for path in (PREFERENCES / "questions").glob("*.jsonl")
            for q in read_domain(path, PREFERENCES / "documents" / path.name)
        }
        for name in (
            "handwritten_dev.jsonl",
            "handwritten_test.jsonl",
            "handwritten_test_2.jsonl",
            "handwritten_test_3.jsonl",
        ):
            held = read_domain(PREFERENCES / name)
            assert len(held) >= 120
            assert not trained & {q.request.question.casefold() for q in held}


def test_another_encoder_folder_must_exist(tmp_path: Path) -> None:
    with pytest.raises(RoutingError, match="no model at"):
        model_folder(str(tmp_path / "nowhere"))
    with pytest.raises(RoutingError, match="cannot be read"):
        read_settings(tmp_path)


def test_a_pair_is_kept_as_trl_reads_it() -> None:
    pair = PreferencePair(RoutingRequest("Why?"), StructureType.CHUNK, StructureType.TABLE, "label", "x-1")
    assert {k: pair.to_dict()[k] for k in ("prompt", "chosen", "rejected")} == {
        "prompt": "Why?",
        "chosen": "chunk",
        "rejected": "table",
    }


def test_the_scorer_reads_what_was_asked_and_no_padding(policy: EncoderPolicy, base: Path, tmp_path: Path) -> None:
    import torch

    from structrag.router.policy import LORA_SCALE
    from structrag.router.trainable import adapter_weights

    weights = save(
        {name: value.astype(np.float32) for name, value in adapter_weights(policy.pooled.encoder).items()}
        | {name: value.numpy() for name, value in policy.head_weights().items()}
    )
    shape = EncoderShape(6, 12, 384, 1e-12)
    digest = hashlib.sha256(weights).hexdigest()
    settings = PolicySettings("v1", "embedded", shape, LORA_SCALE, 1.0, 0.0, digest, "0" * 64)
    write_artefact(tmp_path / "v1", weights, settings, "")
    router = PolicyRouter(tmp_path / "v1", tmp_path / "cache")
    inputs = encoded(base, [render(RoutingRequest(question)) for question in QUESTIONS])
    with torch.no_grad():
        wanted = policy.label_logits(inputs["input_ids"], inputs["attention_mask"]).numpy()
    found = router.logits([RoutingRequest(question) for question in QUESTIONS])
    # 8 bits cost something, but less than reading a hundred tokens of padding did.
    assert np.abs(found - wanted).max() < 0.3 * np.ptp(wanted)


def test_a_question_of_which_each_character_is_several_tokens_is_routed(router_cache: Path) -> None:
    router = PolicyRouter(shipped_folder(), router_cache)
    shares = router.probabilities([RoutingRequest("한국어로 쓴 아주 긴 질문입니다 " * 40)])
    assert shares.sum() == pytest.approx(1.0)
