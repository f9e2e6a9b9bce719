"""The sentences of the linter, in both languages."""

from __future__ import annotations

from loader_core.diagnose.bilingual import Bilingual

DUPLICATED = Bilingual(
    "En la época {epoch} el muestreador dio {drawn} índices, {repeated} de ellos repetidos: solo {distinct} muestras "
    "distintas, y el resto no salió.",
    "In epoch {epoch} the sampler drew {drawn} indices, {repeated} of them again: only {distinct} distinct samples, "
    "and the others never came.",
)
DUPLICATED_ADVICE = Bilingual(
    "Revisa el muestreador: cada índice debería salir una vez por época. Si es a propósito, usa replacement=True o "
    "WeightedRandomSampler, y este aviso desaparece.",
    "Check the sampler: each index should come once per epoch. If it is meant, draw with replacement=True or a "
    "WeightedRandomSampler, and this finding goes away.",
)
MISSING = Bilingual(
    "En la época {epoch} faltaron {missing} de {expected} muestras: salieron {distinct}.",
    "Epoch {epoch} left out {missing} of {expected} samples: {distinct} came.",
)
MISSING_ADVICE = Bilingual(
    "Revisa el muestreador: le faltan las últimas muestras de la época.",
    "Check the sampler: it leaves out the rest of the epoch.",
)
MISSING_DROP_LAST = Bilingual(
    "drop_last=True sin barajar deja fuera siempre las mismas muestras: usa shuffle=True o drop_last=False.",
    "drop_last=True without a shuffle always leaves out the same samples: use shuffle=True, or drop_last=False.",
)
SEEN_INDICES = Bilingual(
    "contando los índices que {sampler} dio en la época {epoch}",
    "by counting the indices that {sampler} drew in epoch {epoch}",
)
DRAWN = Bilingual("índices dados", "indices drawn")
DISTINCT = Bilingual("índices distintos", "distinct indices")
EXPECTED = Bilingual("índices esperados", "indices expected")

NO_SET_EPOCH = Bilingual(
    "{sampler} barajó las épocas {first} y {second} igual: los mismos {drawn} índices en el mismo orden, porque nadie "
    "llamó a set_epoch.",
    "{sampler} shuffled epochs {first} and {second} alike: the same {drawn} indices in the same order, because nobody "
    "called set_epoch.",
)
NO_SET_EPOCH_ADVICE = Bilingual(
    "Llama a loader.sampler.set_epoch(epoch) al empezar cada época.",
    "Call loader.sampler.set_epoch(epoch) at the beginning of each epoch.",
)
SEEN_ORDER = Bilingual(
    "comparando el resumen de los índices de las épocas {first} y {second}; no hubo ninguna llamada a set_epoch",
    "by comparing the digests of the indices of epochs {first} and {second}; there was no call of set_epoch",
)

SAME_STREAM = Bilingual(
    "{count} workers ({workers}) sacan los mismos números aleatorios de {stream}: sus aumentos de datos se repiten.",
    "{count} workers ({workers}) draw the same random numbers from {stream}: their augmentations repeat.",
)
SAME_STREAM_ADVICE = Bilingual(
    "Siembra {stream} en worker_init_fn con torch.initial_seed() % 2**32, que es distinto en cada worker, y no con "
    "una constante.",
    "Seed {stream} in worker_init_fn with torch.initial_seed() % 2**32, which differs from worker to worker, and not "
    "with a constant.",
)
SEEN_SAME_STATE = Bilingual(
    "el estado de {stream} era igual al empezar la época {epoch}, e igual tras el primer lote, que lo usó",
    "the state of {stream} was the same as epoch {epoch} began, and the same after the first batch, which used it",
)
SEEN_SAME_BEGINNING = Bilingual(
    "el estado de {stream} era igual al empezar la época {epoch}, y el primer lote lo usó en distinta medida",
    "the state of {stream} was the same as epoch {epoch} began, and the first batch used different amounts of it",
)
OWN_STREAM = Bilingual("el generador del conjunto de datos", "the dataset's own generator")
OWN_STREAM_ADVICE = Bilingual(
    "El generador se creó en __init__ y cada worker recibió una copia: créalo en el worker, sembrado con "
    "torch.initial_seed().",
    "The generator was made in __init__, and each worker got a copy of it: make it in the worker, seeded with "
    "torch.initial_seed().",
)
WORKERS_ALIKE = Bilingual("workers iguales", "workers alike")

REPEATED = Bilingual(
    "{count} workers ({workers}) recorren el mismo flujo desde el principio: cada muestra sale {count} veces.",
    "{count} workers ({workers}) go through the same stream from its beginning: each sample comes {count} times.",
)
REPEATED_ADVICE = Bilingual(
    "Reparte el flujo en __iter__ con torch.utils.data.get_worker_info(): cada worker, las muestras o fragmentos "
    "i con i % num_workers == id.",
    "Divide the stream in __iter__ with torch.utils.data.get_worker_info(): to each worker the samples or shards i "
    "with i % num_workers == id.",
)
SEEN_SAMPLES = Bilingual(
    "las primeras {samples} muestras de cada uno eran iguales byte a byte (época {epoch})",
    "the first {samples} samples of each were the same, byte for byte (epoch {epoch})",
)

IDLE = Bilingual(
    "{count} de {all} workers ({workers}) no hicieron ningún lote: los {batches} lotes de la época {epoch} los "
    "hicieron los demás.",
    "{count} of {all} workers ({workers}) made no batch: the others made the {batches} batches of epoch {epoch}.",
)
IDLE_ADVICE = Bilingual(
    "La época tiene menos lotes que workers: num_workers={busy} hace lo mismo.",
    "The epoch has fewer batches than workers: num_workers={busy} does the same.",
)
IDLE_STREAM_ADVICE = Bilingual(
    "El flujo tiene menos fragmentos que workers: usa num_workers={busy}, o más fragmentos.",
    "The stream has fewer shards than workers: use num_workers={busy}, or more shards.",
)
SEEN_IDLE = Bilingual(
    "contando qué worker hizo cada lote de las épocas enteras que se vieron",
    "by counting which worker made each batch of the whole epochs that were seen",
)
WORKERS_IDLE = Bilingual("workers sin trabajo", "workers without work")
BATCHES = Bilingual("lotes de la época", "batches of the epoch")

MANY_TENSORS = Bilingual("Cada lote tiene {tensors} tensores", "Each batch is made of {tensors} tensors")
TENSORS_AT_LEAST = Bilingual(
    "Cada lote tiene al menos {tensors} tensores", "Each batch is made of at least {tensors} tensors"
)
TENSOR_SIZE = Bilingual(", de {size} de media", ", of {size} on average")
TENSOR_COST = Bilingual(
    ": cada uno viaja por separado, y enviar y recibir un lote cuesta {cost}.",
    ": each travels on its own, and to send and receive a batch takes {cost}.",
)
MANY_TENSORS_ADVICE = Bilingual(
    "Júntalos en collate_fn en unos pocos tensores (torch.cat y los desplazamientos), o devuelve arrays de numpy.",
    "Pack them in collate_fn into a few tensors (torch.cat, and the offsets), or return numpy arrays.",
)
SEEN_TENSORS = Bilingual("contando los tensores de {batches} lotes", "by counting the tensors of {batches} batches")
TENSORS = Bilingual("tensores por lote", "tensors per batch")
BATCH_BYTES = Bilingual("bytes por lote", "bytes per batch")
SEND_AND_RECEIVE = Bilingual("enviar y recibir", "send and receive")

PAGE_FAULTS = Bilingual(
    "El {share} de la CPU de los workers se la lleva el núcleo, que les da de nuevo {pages} páginas de memoria por "
    "lote ({size}): su asignador devuelve los bloques grandes tras cada muestra.",
    "{share} of the workers' CPU time is the kernel's, which gives them {pages} pages of memory anew for each batch "
    "({size}): their allocator gives large blocks back after each sample.",
)
PAGE_FAULTS_ADVICE = Bilingual(
    "Que los conserven (glibc): MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TRIM_THRESHOLD_=268435456 en el entorno con que "
    "se lanza el script. Los workers de loader_core.DataLoader lo hacen solos.",
    "Have them kept (glibc): MALLOC_MMAP_THRESHOLD_=33554432 MALLOC_TRIM_THRESHOLD_=268435456 in the environment that "
    "the script is started with. The workers of loader_core.DataLoader do so by themselves.",
)
SEEN_PAGE_FAULTS = Bilingual(
    "por lo que el núcleo contó (getrusage) en {workers} workers durante {batches} lotes",
    "by what the kernel counted (getrusage) in {workers} workers over {batches} batches",
)
KERNEL_TIME = Bilingual("CPU del núcleo, por lote", "the kernel's CPU time, per batch")
PAGES = Bilingual("páginas por lote", "pages per batch")

MEMORY_ADVICE = Bilingual(
    "Busca lo que el conjunto de datos guarda de cada muestra (una lista, una caché). Si solo crece en la primera "
    "pasada, son los contadores de referencias de una lista grande de Python: usa un array de numpy.",
    "Look for what the dataset keeps of each sample (a list, a cache). If it grows in the first pass only, it is the "
    "reference counts of a large Python list: use a numpy array.",
)
SEEN_MEMORY = Bilingual(
    "por {points} medidas de la memoria propia (USS) de los procesos durante {time}",
    "by {points} measurements of the processes' own memory (USS) over {time}",
)
GROWTH = Bilingual("crecimiento", "growth")

FILES_ADVICE = Bilingual(
    "Cierra lo que el conjunto de datos abre, sube ulimit -n, o usa "
    "torch.multiprocessing.set_sharing_strategy('file_system').",
    "Close what the dataset opens, raise ulimit -n, or use torch.multiprocessing.set_sharing_strategy('file_system').",
)
SEEN_FILES = Bilingual(
    "contando los descriptores abiertos {points} veces durante {time}",
    "by counting the open descriptors {points} times over {time}",
)
FILES_OPEN = Bilingual("descriptores abiertos", "descriptors open")
