<?php
// Calls of clients/php/Watcher.php, one a line of JSON on standard input: {"url": …, "key": …,
// "calls": [[method, argument, …], …]}. Prints what each came to, as JSON.

declare(strict_types=1);
require __DIR__ . '/../../clients/php/Watcher.php';

$given = json_decode(stream_get_contents(STDIN), true, 64, JSON_THROW_ON_ERROR);
$told = [];
try {
    $watcher = new Watcher($given['url'], $given['key'] ?? null);
    foreach ($given['calls'] as $call) {
        $method = array_shift($call);
        try {
            $told[] = ['answer' => $method === 'verifyEvent'
                ? Watcher::verifyEvent(...$call)
                : $watcher->$method(...$call)];
        } catch (Exception $error) {
            $told[] = [
                'error' => get_class($error),
                'message' => $error->getMessage(),
                'status' => $error->status ?? null,
                'all' => "$error" . print_r($error->getTrace(), true),
            ];
        }
    }
    ob_start();
    var_dump($watcher);
    print_r($watcher);
    var_export($watcher);
    $told[] = ['dump' => ob_get_clean()];
} catch (Exception $error) {
    $told = ['refused' => $error->getMessage(), 'all' => "$error" . print_r($error->getTrace(), true)];
}
echo json_encode($told, JSON_PARTIAL_OUTPUT_ON_ERROR);
