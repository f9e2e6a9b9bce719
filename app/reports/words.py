"""Words that all reports use: names of codes, amounts with their units, predictions."""

from __future__ import annotations

from app.scores import Measured
from loader_core.diagnose.bilingual import Bilingual, duration, number, share, size
from loader_core.diagnose.setting import Prediction
from loader_core.diagnose.verdict_types import Code, Confidence, Evidence, Finding
from loader_core.trace.run_file import RunHeader

CODE_NAMES: dict[Code, Bilingual] = {
    Code.LOADER_OK: Bilingual("La carga va bien", "Loading is fine"),
    Code.WORKER_CPU_BOUND: Bilingual("Limita la CPU de los workers", "Workers' CPU is the limit"),
    Code.TOO_FEW_WORKERS: Bilingual("Faltan workers", "Too few workers"),
    Code.TOO_MANY_WORKERS: Bilingual("Sobran workers", "Too many workers"),
    Code.STORAGE_BOUND: Bilingual("Limita el almacenamiento", "Storage is the limit"),
    Code.COLLATE_BOUND: Bilingual("Limita el collate", "Collate is the limit"),
    Code.TRANSPORT_BOUND: Bilingual("Limita el envío de lotes", "Sending batches is the limit"),
    Code.MAIN_THREAD_BOUND: Bilingual("Limita el proceso principal", "The main process is the limit"),
    Code.PIN_BOUND: Bilingual("Limita la fijación de memoria", "Pinning is the limit"),
    Code.H2D_BOUND: Bilingual("Limita la copia al dispositivo", "Copying to the device is the limit"),
    Code.HEAD_OF_LINE: Bilingual("Un lote bloquea a los demás", "One batch holds up the others"),
    Code.SKEWED_SAMPLES: Bilingual("Unas pocas muestras muy lentas", "A few slow samples"),
    Code.STARTUP_BOUND: Bilingual("El arranque pesa", "Starting takes long"),
    Code.EPOCH_RESPAWN: Bilingual("Workers nuevos en cada época", "New workers each epoch"),
    Code.GIL_BOUND: Bilingual("Limita el GIL", "The GIL is the limit"),
    Code.HANG: Bilingual("El bucle está atascado", "The loop is stuck"),
    Code.MEMORY_GROWTH: Bilingual("La memoria crece", "Memory grows"),
    Code.SHM_OR_FD_RISK: Bilingual(
        "Memoria compartida o descriptores al límite", "Shared memory or descriptors run out"
    ),
    Code.RANK_STRAGGLER: Bilingual("Un rango va por detrás", "One rank is behind"),
    Code.UNDETERMINED: Bilingual("No se puede saber", "It cannot be told"),
}

CONFIDENCE: dict[Confidence, Bilingual] = {
    "high": Bilingual("alta", "high"),
    "medium": Bilingual("media", "medium"),
    "low": Bilingual("baja", "low"),
}

TEXTS = {
    "seen": Bilingual(
        "Visto en {steps} pasos: {wait} de espera ({waited}), {rate} muestras/s.",
        "Seen in {steps} steps: {wait} waiting ({waited}), {rate} samples/s.",
    ),
    "failed": Bilingual("La ejecución falló: {reason}", "The run failed: {reason}"),
    "interrupted": Bilingual("La ejecución se interrumpió: {reason}", "The run was interrupted: {reason}"),
    "place": Bilingual("Dónde: {place}", "Where: {place}"),
    "confidence": Bilingual("Confianza: {confidence}", "Confidence: {confidence}"),
    "refuted": Bilingual("Lo refutaría: {how}", "What would refute it: {how}"),
    "experiment": Bilingual("Próximo experimento: {how}", "Next experiment: {how}"),
    "evidence": Bilingual("Pruebas", "Evidence"),
    "advice": Bilingual("Qué cambiar", "What to change"),
    "share": Bilingual("explica el {share} de la espera", "explains {share} of the wait"),
    "predicted": Bilingual(
        "previsto: {rate} muestras/s ({low} a {high}), ahora {now}",
        "predicted: {rate} samples/s ({low} to {high}), now {now}",
    ),
    "proof": Bilingual(
        "{changes}: {before} → {after} muestras/s (×{ratio}); se habían predicho {rate} ({low} a {high}): {came}",
        "{changes}: {before} → {after} samples/s (×{ratio}); {rate} had been predicted ({low} to {high}): {came}",
    ),
    "kept": Bilingual("se cumplió", "it came true"),
    "better": Bilingual("dio más", "it gave more"),
    "missed": Bilingual("no se cumplió", "it did not come true"),
    "since": Bilingual("Desde la ejecución {run}", "Since run {run}"),
    "measure": Bilingual("Para medirlo sin tocar el script:", "To measure it without touching the script:"),
    "faster": Bilingual(
        "si {part} fuera {factor} veces más rápido, {rest}", "if {part} were {factor} times as fast, {rest}"
    ),
    "cached": Bilingual("con las muestras en memoria, {rest}", "with samples in memory, {rest}"),
    "others": Bilingual("Además", "Besides"),
    "budget": Bilingual("A dónde va el tiempo del bucle", "Where the loop's time goes"),
    "timeline": Bilingual("Los segundos alrededor de la espera más larga", "The moments around the longest wait"),
    "figures": Bilingual("Toda la ejecución", "The whole run"),
    "slowest": Bilingual("Muestras más lentas", "Slowest samples"),
    "stalls": Bilingual("Parones más largos", "Longest stalls"),
}


def bad_end(run: RunHeader) -> Bilingual | None:
    """How the run ended, where that was not as it should; None where it was."""
    ended_badly = run.state in ("failed", "interrupted") and run.reason
    return TEXTS[run.state].format(reason=run.reason) if ended_badly else None


def code_name(code: Code) -> Bilingual:
    """What a code is called."""
    return CODE_NAMES[code]


def amount(evidence: Evidence) -> Bilingual:
    """The number of an evidence with its unit."""
    match evidence.unit:
        case "ns":
            return duration(evidence.value)
        case "bytes":
            return size(evidence.value)
        case "bytes/s":
            return size(evidence.value) + Bilingual.same("/s")
        case "share":
            return share(evidence.value)
        case "" if evidence.measure in ("share", "cpu_share"):
            return share(evidence.value)
        case "":
            return number(evidence.value)
        case "cores":
            return number(evidence.value) + Bilingual(" núcleos", " cores")
        case "descriptors":
            return number(evidence.value) + Bilingual(" descriptores", " descriptors")
        case "batches":
            return number(evidence.value) + Bilingual(" lotes", " batches")
        case unit:
            return number(evidence.value) + Bilingual.same(f" {unit}")


def changed_line(finding: Finding) -> str | None:
    """The arguments to change, or the line of code, as they are typed; None where the advice is work and no line."""
    lines = [change.line.en for change in finding.changes if change.line.is_code]
    if not lines:
        return None
    if all(change.argument for change in finding.changes):
        return f"DataLoader(..., {', '.join(lines)})"
    return lines[0]


def proven(measured: Measured) -> Bilingual:
    """What other arguments gave, beside what had been predicted of them."""
    promise, rate = measured.predicted, measured.samples_per_s
    came = "better" if rate > promise.high_per_s else "missed" if rate < promise.low_per_s else "kept"
    return TEXTS["proof"].format(
        changes=Bilingual.same(", ".join(measured.changes)),
        before=number(measured.before_per_s),
        after=number(rate),
        ratio=number(rate / measured.before_per_s, 2),
        rate=number(promise.samples_per_s),
        low=number(promise.low_per_s),
        high=number(promise.high_per_s),
        came=TEXTS[came],
    )


def predicted(prediction: Prediction | None, now_per_s: float | None) -> Bilingual | None:
    """What a change should give; None where it cannot be predicted."""
    if prediction is None:
        return None
    text = TEXTS["predicted"].format(
        rate=number(prediction.samples_per_s),
        low=number(prediction.low_per_s),
        high=number(prediction.high_per_s),
        now=Bilingual.same("?") if now_per_s is None else number(now_per_s),
    )
    if prediction.setting.cached:
        text = TEXTS["cached"].format(rest=text)
    for part, factor in prediction.setting.faster:
        text = TEXTS["faster"].format(part=part, factor=number(factor, 2), rest=text)
    return text
