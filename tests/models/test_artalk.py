"""The generator: cached is the same as not cached, the future has no say, chance keeps to its stream, and it learns."""

import dataclasses

import pytest
import torch

from artalk.channels import ARKIT
from artalk.errors import BadInput
from artalk.models.artalk import Artalk, ArtalkConfig, ArtalkWeights, Predicted, TrunkConfig
from artalk.models.batch import Batch
from artalk.models.codec import Codec, all_known
from artalk.models.losses import LinearRig
from artalk.models.nn.quantize import Levels
from tests.models.tiny import WINDOW, artalk, batch, cold, config, noise_sound

HOP = 640


def run(model, sound, steering, seed=0):
    return model.generate(sound, steering, torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("past", [0, 1, 3])
@pytest.mark.parametrize("quantizer", ["binary", "vector"])
def test_scale_by_scale_with_memory_draws_the_codes_that_the_whole_pass_draws(past, quantizer):
    """0 differing codes: at each token, what `step` decided from its caches is what `forward` says without any."""
    model, windows, count = artalk(past, quantizer), 4, 2
    sound = noise_sound(count * (windows * WINDOW + model.config.speech.lookahead) * HOP).reshape(count, -1)
    style = torch.randn(count, 6, generator=torch.Generator().manual_seed(1))
    steering = model.steer(count, style, 1.0, temperature={"lips": 1.0})
    rng = torch.Generator().manual_seed(2)
    state, totals, noises, features = model.begin(count), {"lips": [], "rest": []}, [], []
    with torch.no_grad():
        for n in range(windows):
            piece = sound[:, n * WINDOW * HOP :][:, : model.step_samples]
            noises.append(model.noise(count, rng))
            heard = model.speech(torch.cat([state["sound"], piece], dim=1), state["level"]).features
            features.append(heard)
            for i, name in enumerate(model.trunks):
                known = state["known"][:, state["known"].shape[1] - past :] > 0.5
                stream, memory = model.codec.stream(name), state.get(f"memory.{name}")
                made = model.trunk(name).step(stream.pyramid, heard, steering, i, memory, known, noises[n][name])
                totals[name].append(made.total)
            _, _, state = model.step(state, piece, noises[n], steering)
        heard, known = torch.stack(features, dim=1), all_known(count, windows, past)
        for i, name in enumerate(model.trunks):
            pyramid, total = model.codec.stream(name).pyramid, torch.stack(totals[name], dim=1)
            noise = torch.stack([each[name] for each in noises], dim=1)
            rebuilt, start = torch.zeros_like(total), 0
            inputs = [torch.zeros(count, windows, s, pyramid.quantizer.width) for s in pyramid.scales]
            codes = [pyramid.quantizer.quantize(given).codes for given in inputs]
            for level, scale in enumerate(pyramid.scales):
                inputs[level] = pyramid.down(rebuilt, level)
                one = torch.ones(1, 1, 1, 1) * steering.temperature[0, i]
                # Of a chain of bits the whole pass knows one more each time.
                for _ in range(pyramid.quantizer.logits if model.trunk(name).chain else 1):
                    levels = Levels(codes, inputs, [], total, {})
                    logits = model.trunk(name)(levels, heard, torch.ones(count), style, known).logits
                    part, drawn = logits[:, :, start : start + scale], noise[:, :, start : start + scale]
                    codes[level] = pyramid.quantizer.choose(part, drawn, one, torch.ones(1, 1, 1, 1))
                rebuilt = rebuilt + pyramid.part(pyramid.quantizer.values(codes[level]), level)
                start += scale
            assert torch.allclose(rebuilt, total, atol=1e-5), name
            assert total.std() > 0.1


def test_sound_after_the_lookahead_changes_nothing_and_earlier_sound_does():
    model, windows = artalk(), 4
    sound = noise_sound(windows * WINDOW * HOP)[None]
    late = sound.clone()
    late[:, (2 * WINDOW + model.config.speech.lookahead) * HOP :] *= -0.3
    steering = model.steer()
    one, two = run(model, sound, steering), run(model, late, steering)
    assert torch.equal(one[:, : 2 * WINDOW], two[:, : 2 * WINDOW])
    assert not torch.equal(one[:, 2 * WINDOW :], two[:, 2 * WINDOW :])


def test_later_windows_do_not_change_earlier_predictions():
    model, piece = artalk(2), batch()
    changed = piece.motion.clone()
    changed[:, 2 * WINDOW :] = 0.2
    with torch.no_grad():
        features = model.codec.windows(model.speech(piece.sound).features)
        known = all_known(2, 4, 2)
        style, hears = model.style.null.expand(2, -1), torch.ones(2)
        one, two = (
            model(model.codec.encode(m, piece.observed), features, hears, style, known) for m in (piece.motion, changed)
        )
    for name in one:
        assert torch.equal(one[name].logits[:, :2], two[name].logits[:, :2])
        assert not torch.equal(one[name].logits[:, 2:], two[name].logits[:, 2:])


def test_at_temperature_zero_the_seed_has_no_say_and_above_it_has():
    model, sound = artalk(), noise_sound(3 * WINDOW * HOP)[None]
    still = model.steer(temperature={"lips": 0.0, "rest": 0.0})
    assert torch.equal(run(model, sound, still, 1), run(model, sound, still, 2))
    lively = model.steer(temperature={"lips": 1.0, "rest": 1.0})
    assert not torch.equal(run(model, sound, lively, 1), run(model, sound, lively, 2))
    assert torch.equal(run(model, sound, lively, 1), run(model, sound, lively, 1))


def test_seeds_vary_the_rest_and_not_the_lips():
    model, sound = artalk(), noise_sound(3 * WINDOW * HOP)[None]
    one, two = (run(model, sound, model.steer(), seed) for seed in (1, 2))
    lips = model.codec.stream("lips").columns
    rest = model.codec.stream("rest").columns
    assert torch.equal(one[..., lips], two[..., lips])
    assert not torch.equal(one[..., rest], two[..., rest])


def test_motion_stays_within_its_bounds():
    made = run(artalk(), noise_sound(3 * WINDOW * HOP)[None], artalk().steer())
    weights = made[..., ARKIT.of_kind("weight")]
    assert weights.min() >= 0
    assert weights.max() <= 1
    assert torch.isfinite(made).all()


def test_guidance_of_one_is_the_plain_model_and_more_branches_mix_to_it():
    model, sound = artalk(), noise_sound(2 * WINDOW * HOP)[None]
    style = torch.randn(1, 6, generator=torch.Generator().manual_seed(0))
    plain = model.steer(1, style, 1.0)
    assert plain.style.shape[1] == 1
    assert model.steer(1, style).mix.tolist() == [[2.0, -1.0]]
    # The same branch twice with shares that sum to 1 is the branch itself.
    twice = dataclasses.replace(
        plain,
        style=plain.style.expand(-1, 2, -1),
        hears=plain.hears.expand(-1, 2),
        mix=torch.tensor([[1.7, -0.7]]),
    )
    assert torch.allclose(run(model, sound, plain), run(model, sound, twice), atol=1e-4)
    strong = model.steer(1, style, style_guidance=2.0, sound_guidance=1.5)
    assert strong.style.shape[1] == 3
    assert strong.mix.sum().item() == pytest.approx(1.0)
    assert not torch.allclose(run(model, sound, plain), run(model, sound, strong), atol=1e-4)
    ignored = run(model, sound, model.steer(1, style, style_guidance=0.0))
    assert torch.allclose(ignored, run(model, sound, model.steer(1)), atol=1e-6)


def test_several_speakers_at_once_are_the_speakers_one_by_one():
    model, sound = artalk(), noise_sound(2 * 2 * WINDOW * HOP).reshape(2, -1)
    style = torch.randn(2, 6, generator=torch.Generator().manual_seed(0))
    still = {"lips": 0.0, "rest": 0.0}
    together = run(model, sound, model.steer(2, style, temperature=still))
    for k in range(2):
        alone = run(model, sound[k : k + 1], model.steer(1, style[k : k + 1], temperature=still))
        assert torch.allclose(together[k : k + 1], alone, atol=1e-5)


def test_expected_codes_and_the_regression_s_share_are_recipe_options():
    base, sound = config(), noise_sound(2 * WINDOW * HOP)[None]
    made = []
    for change in ({}, {"expected": 2}, {"blend": 0.5}):
        lips = dataclasses.replace(base.trunks["lips"], **change)
        model = Artalk(dataclasses.replace(base, trunks={**base.trunks, "lips": lips}))
        model.load_state_dict(artalk().state_dict())
        model.eval()
        made.append(run(model, sound, model.steer()))
        assert torch.equal(made[-1], run(model, sound, model.steer()))
    assert not torch.allclose(made[0], made[1])
    assert not torch.allclose(made[0], made[2])


def test_unobserved_channels_and_streams_cost_nothing():
    model, piece = artalk(spoiling=cold()), batch()
    observed = piece.observed.clone()
    observed[:, model.codec.stream("rest").columns] = 0
    changed = piece.motion.clone()
    changed[..., model.codec.stream("rest").columns] = 0.77
    a, b = (
        model.losses(Batch(m, observed, piece.sound), torch.Generator().manual_seed(0)) for m in (piece.motion, changed)
    )
    assert torch.equal(a["total"], b["total"])
    assert a["codes.rest"] == 0
    model.zero_grad()
    a["total"].backward()
    head = model.trunk("rest").head[1].weight.grad
    assert head is None or not head.any()


def test_what_training_withholds_and_corrupts_comes_from_the_rng_alone():
    model, piece = artalk().train(), batch()
    one, two, other = (model.losses(piece, torch.Generator().manual_seed(seed))["total"].item() for seed in (1, 1, 2))
    assert one == two
    assert one != other
    quiet = model.eval()
    assert quiet.losses(piece)["total"].item() == quiet.losses(piece)["total"].item()


@pytest.mark.parametrize("expected", [0, 2, 4])
def test_a_past_of_its_own_is_what_it_does_where_it_runs(expected):
    """What the whole pass says of such levels is what `perform` did, and that is what `generate` makes."""
    model, piece = artalk(past=2, spoiling=cold(own=1.0)), batch()
    trunks = dict(model.config.trunks)
    trunk = dataclasses.replace(trunks["lips"], expected=expected)
    model.config = dataclasses.replace(model.config, trunks={**trunks, "lips": trunk})
    model.trunk("lips").config = trunk
    stream, style = model.codec.stream("lips"), model.styles(piece)[0]
    with torch.no_grad():
        heard = model.speech(piece.sound).features
        features = model.codec.windows(heard)
        known = all_known(len(features), features.shape[1], 2)
        ones = torch.ones(len(features))
        done = model.trunk("lips").perform(stream.pyramid, features, ones, style, known)
        latents = model._latents(piece)
        levels = stream.pyramid.encode(latents["lips"], done=done)
        logits = model.trunk("lips")(levels, features, ones, style, known).logits
        for i, part in enumerate(torch.split(logits, list(model.config.codec.scales), dim=-2)):
            soft = i >= len(done) - expected
            said = stream.quantizer.expected(part) if soft else stream.quantizer.values((part > 0).long())
            assert torch.allclose(said, done[i], atol=1e-4), i
        assert not torch.allclose(levels.total, latents["lips"], atol=0.1)
        # `generate` begins without a past, and so does this sound.
        margin = model.config.speech.past * HOP
        fresh = torch.nn.functional.pad(piece.sound[:, margin:], (margin, 0))
        features = model.codec.windows(model.speech(fresh).features)
        done = model.trunk("lips").perform(stream.pyramid, features, ones, style, known)
        total = torch.stack([stream.pyramid.part(part, i) for i, part in enumerate(done)]).sum(dim=0)
        frames = stream.decode(total, all_known(len(total), total.shape[1], model.config.codec.past)).flatten(1, 2)
        made = run(model, fresh[:, margin:], model.steer(len(total), style, 1.0))
        mine = model.codec.normalise(made)[:, : frames.shape[1], stream.columns]
        inside = (made[..., stream.columns] > 0.001) & (made[..., stream.columns] < 0.999)
        assert inside[:, : frames.shape[1]].float().mean() > 0.2
        assert torch.allclose(frames[inside[:, : frames.shape[1]]], mine[inside[:, : frames.shape[1]]], atol=1e-3)


def test_rows_with_a_past_of_their_own_are_drawn_by_lot_and_only_in_training():
    piece = batch(count=4)
    plain = artalk(spoiling=cold()).train().losses(piece, torch.Generator().manual_seed(0))
    own = artalk(spoiling=cold(own=1.0)).train()
    losses = own.losses(piece, torch.Generator().manual_seed(0))
    assert losses["codes.lips"] != plain["codes.lips"]
    assert losses["codes.rest"] == plain["codes.rest"], "a stream that is drawn keeps the past that was"
    levels = own._levels(own._latents(piece), None)
    features = own.codec.windows(own.speech(piece.sound).features)
    known = all_known(4, features.shape[1], own.config.known)
    style = own.styles(piece)[0]
    shares = []
    for seed in range(8):
        own.config = dataclasses.replace(own.config, spoiling=cold(own=0.5))
        rng = torch.Generator().manual_seed(seed)
        mixed = own._own(own._latents(piece), levels, features, torch.ones(4), style, known, rng)
        assert list(mixed) == ["lips"]
        shares += [float(not torch.equal(mixed["lips"].total[row], levels["lips"].total[row])) for row in range(4)]
    assert 0.3 < sum(shares) / len(shares) < 0.7
    own.eval()
    assert own.losses(piece)["codes.lips"] == artalk(spoiling=cold()).losses(piece)["codes.lips"]


@pytest.mark.parametrize("expected", [1, 2, 4])
def test_the_decoded_loss_is_of_what_is_mended(expected):
    """A model that says every target of what was done gets the motion that `step` would make of that."""
    model, piece = artalk(spoiling=cold()), batch()
    trunk = dataclasses.replace(model.config.trunks["lips"], expected=expected)
    model.trunk("lips").config = trunk
    stream = model.codec.stream("lips")
    latents = model._latents(piece)["lips"]
    done = [0.5 * stream.quantizer.values(codes) for codes in stream.pyramid.encode(latents).codes]
    level = stream.pyramid.encode(latents, done=done)
    logits = torch.cat([40.0 * (2 * codes - 1) for codes in level.codes], dim=-2)
    total = model._expected({"lips": level}, {"lips": Predicted(logits, latents)})["lips"]
    soft = len(done) - expected
    run = [values if i < soft else stream.quantizer.values(level.codes[i]) for i, values in enumerate(done)]
    mine = torch.stack([stream.pyramid.part(values, i) for i, values in enumerate(run)]).sum(dim=0)
    assert torch.allclose(total, mine, atol=1e-4)


def test_its_own_past_is_made_without_dropout():
    model, piece = artalk(dropout=0.4).train(), batch()
    lips, stream = model.trunk("lips"), model.codec.stream("lips")
    features = model.codec.windows(model.speech(piece.sound).features.detach())
    known = all_known(len(features), features.shape[1], 1)
    given = stream.pyramid, features, torch.ones(2), model.style.null.expand(2, -1), known
    one, two = lips.perform(*given), lips.perform(*given)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert lips.training
    assert lips.stack.training


@pytest.mark.parametrize("quantizer", ["binary", "vector"])
def test_a_past_of_its_own_may_be_withheld_and_in_half_precision(quantizer):
    spoiling = cold(own=1.0, past=0.5, sound=0.5, bits=0.2)
    model, piece = artalk(past=2, quantizer=quantizer, spoiling=spoiling).train(), batch(count=4)
    with torch.autocast("cpu", torch.bfloat16):
        total = model.losses(piece, torch.Generator().manual_seed(0))["total"]
    total.backward()
    assert torch.isfinite(total)
    assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)


def test_the_codec_is_frozen():
    model = artalk().train()
    assert not model.codec.training
    ours = {id(parameter) for parameter in model.parameters() if parameter.requires_grad}
    assert not ours & {id(parameter) for parameter in model.codec.parameters()}
    model.losses(batch(), torch.Generator().manual_seed(0))["total"].backward()
    assert all(parameter.grad is None for parameter in model.codec.parameters())
    assert all(parameter.grad is not None for parameter in model.trunk("lips").stack.parameters())


def test_phones_and_style_are_learned_beside():
    model, piece = artalk(), batch()
    phones = torch.randint(-1, 3, (2, 80), generator=torch.Generator().manual_seed(0))
    losses = model.losses(dataclasses.replace(piece, phones=phones))
    assert losses["phones"] > 0
    assert losses["contrast"] > 0
    unknown = model.losses(dataclasses.replace(piece, phones=torch.full((2, 80), -1)))
    assert unknown["phones"] == 0


def test_lips_are_learnt_on_a_face_that_has_to_be_given():
    weights = ArtalkWeights(lips=0.5, gap=0.25)
    plain, wise = artalk(spoiling=cold()), artalk(spoiling=cold(), weights=weights)
    wise.load_state_dict(plain.state_dict())
    rng = torch.Generator().manual_seed(0)
    deltas = 0.01 * torch.randn(len(ARKIT), 20, 3, generator=rng)
    face, piece = LinearRig(deltas, torch.arange(20) < 8, (0, 1), torch.tensor([0, -1e-3, 0])), batch()
    before, losses = plain.losses(piece, rig=face), wise.losses(piece, rig=face)
    assert "lips" not in before
    more = 0.5 * losses["lips"] + 0.25 * losses["gap"]
    assert losses["total"].item() == pytest.approx((before["total"] + more).item(), rel=1e-5)
    # What was not measured moves no lip.
    observed = piece.observed.clone()
    observed[:, wise.codec.stream("lips").columns] = 0
    hidden = dataclasses.replace(piece, observed=observed)
    changed = dataclasses.replace(hidden, motion=piece.motion.clone())
    changed.motion[..., wise.codec.stream("lips").columns] = 0.77
    one, two = (wise.losses(each, rig=face) for each in (hidden, changed))
    assert torch.equal(one["lips"], two["lips"])
    assert torch.equal(one["gap"], two["gap"])
    with pytest.raises(BadInput, match="lips and gap are distances on a face"):
        wise.losses(piece)


def test_a_model_says_who_speaks_only_where_it_has_learnt_phones():
    model = artalk()
    features = torch.randn(2, WINDOW, model.config.speech.width * 2, generator=torch.Generator().manual_seed(0))
    spoken = model.spoken(features)
    assert spoken.shape == (2, WINDOW)
    assert ((spoken > 0) & (spoken < 1)).all()
    speech = dataclasses.replace(model.config.speech, phones=())
    model.config = dataclasses.replace(model.config, speech=speech)
    assert model.spoken(features) is None


def test_a_style_drawn_by_lot_is_never_withheld():
    """Else "no style" would come to mean the mean of all that may be drawn."""
    model, piece = artalk(spoiling=cold(style=1.0)).train(), batch()
    for ids, withheld in ((piece.style_id, True), (-1 - piece.style_id, False)):
        model.zero_grad()
        losses = model.losses(dataclasses.replace(piece, style_id=ids), torch.Generator().manual_seed(0))
        losses["codes"].backward()
        assert (model.style.null.grad is not None and bool(model.style.null.grad.any())) is withheld


def test_it_learns_the_motion_of_two_clips():
    torch.manual_seed(0)
    piece = batch(2, 40)
    codec = Codec(config().codec)
    codec.measure(piece.motion.mean(dim=(0, 1)), piece.motion.std(dim=(0, 1)))
    _fit(codec, piece, 60, 6e-3, codec.parameters())
    model = Artalk(config(spoiling=cold()))
    model.codec.load_state_dict(codec.state_dict())
    first, last = _fit(model, piece, 70, 6e-3, [each for each in model.parameters() if each.requires_grad])
    assert last["codes"] < 0.6 * first["codes"]
    assert last["regression"] < 0.7 * first["regression"]
    assert last["hits.lips"] > 0.75


def _fit(model, piece, steps, rate, parameters):
    optimiser = torch.optim.AdamW(parameters, rate)
    rng = torch.Generator().manual_seed(0)
    seen = []
    for _ in range(steps):
        losses = model.train().losses(piece, rng=rng)
        optimiser.zero_grad()
        losses["total"].backward()
        optimiser.step()
        seen.append({name: value.item() for name, value in losses.items()})
    return seen[0], seen[-1]


def test_wrong_configs_and_batches_are_refused():
    with pytest.raises(BadInput, match="have a trunk each"):
        ArtalkConfig(trunks={"lips": TrunkConfig()})
    with pytest.raises(BadInput, match="no sound"):
        artalk().losses(dataclasses.replace(batch(), sound=None))


def test_half_precision_touches_neither_the_targets_nor_the_spectra():
    model, piece = artalk(), batch()
    with torch.no_grad():
        full, codes = model.losses(piece), model.codec.encode(piece.motion, piece.observed)
        with torch.autocast("cpu", torch.bfloat16):
            half, same = model.losses(piece), model._levels(model._latents(piece), None)
    for name in codes:
        assert all(torch.equal(a, b) for a, b in zip(codes[name].codes, same[name].codes, strict=True))
    assert half["total"].item() == pytest.approx(full["total"].item(), rel=0.02)
