"""The receiver's settings: what they refuse, and what they come to."""

import pytest

from producers.webhook.providers import SecretsFile
from producers.webhook.schemes import Tolerance
from tapefold.settings import Settings
from tapefold.webhook.serving import policy_of, senders_of
from topics.errors import SettingsError

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_age_and_future_are_settings_of_their_own():
    """And both together must not outlast the markers."""
    policy = policy_of(Settings(webhook_max_age_seconds=10, webhook_max_future_seconds=2))
    assert Tolerance(10, 2) == policy.tolerance
    assert policy.verified
    with pytest.raises(SettingsError, match=r"expected at least .* = 12, was 11"):
        policy_of(Settings(webhook_max_age_seconds=10, webhook_max_future_seconds=2, webhook_dedupe_horizon_seconds=11))


def test_a_secret_is_needed_unless_verification_is_switched_off():
    """The switch is explicit, and the message names it."""
    with pytest.raises(SettingsError, match="WEBHOOK_VERIFY=off"):
        senders_of(Settings(), pytest.fail)
    senders = senders_of(Settings(webhook_verify=False), pytest.fail)
    assert {"default": ()} == {name: provider.keys for name, provider in senders.items()}


def test_several_secrets_stand_between_commas():
    """While they rotate."""
    senders = senders_of(Settings(webhook_secret=f"{SECRET}, {SECRET}", webhook_provider="pay"), pytest.fail)
    assert 2 == len(senders["pay"].keys)


def test_a_wrong_secret_is_refused_and_not_quoted():
    """It would stand in a log."""
    with pytest.raises(SettingsError, match="WEBHOOK_SCHEME=stripe") as refused:
        senders_of(Settings(webhook_secret="whsec_test_secret"), pytest.fail)
    assert "test_secret" not in str(refused.value)
    assert senders_of(Settings(webhook_secret="whsec_test_secret", webhook_scheme="stripe"), pytest.fail)


def test_one_source_of_secrets_is_enough(tmp_path):
    """The file, or the variable."""
    path = tmp_path / "secrets.toml"
    path.write_text(f'[pay]\nscheme = "standard"\nsecrets = ["{SECRET}"]\n')
    path.chmod(0o600)
    assert isinstance(senders_of(Settings(webhook_secrets_file=path), pytest.fail), SecretsFile)
    with pytest.raises(SettingsError, match="were both"):
        senders_of(Settings(webhook_secrets_file=path, webhook_secret=SECRET), pytest.fail)
