"""All that may stand on a fact topic, of all sources. A source adds its union here."""

from topics.annotations import Annotation
from topics.events import AnyKalshi, Beat
from topics.kalshi_rest import AnyRest
from topics.policies import Policy
from topics.rag import AnyPrediction
from topics.tws import AnyTwsFact
from topics.weather import AnyWeather
from topics.webhook import Webhook

AnyFact = Annotation | AnyKalshi | AnyPrediction | AnyRest | AnyTwsFact | AnyWeather | Policy | Webhook | Beat
