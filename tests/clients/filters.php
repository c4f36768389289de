<?php
// Every test and every action that Roundcube's editor of filters offers at our server, each in a filter of its own that is
// enabled and once more in one that is not: written by the editor's own code, as a list of scripts in JSON.
// Arguments: the file of that code, our extensions.
require $argv[1];

const REPEATED = ['', 'i;octet', 'i;ascii-casemap', 'i;ascii-numeric'];
const PARTS = ['', 'domain', 'localpart', 'user', 'detail'];
const DATES = ['date', 'iso8601', 'std11', 'julian', 'time', 'year', 'month', 'day', 'hour', 'minute', 'second', 'weekday', 'zone'];

function comparisons() {
    foreach (REPEATED as $comparator) {
        $common = $comparator ? ['comparator' => $comparator] : [];
        foreach (['contains', 'is', 'matches'] as $type) {
            yield $common + ['type' => $type];
            yield $common + ['type' => $type, 'not' => true];
        }
        foreach (['gt', 'ge', 'lt', 'le', 'eq', 'ne'] as $relation) {
            yield $common + ['type' => "count-$relation"];
            yield $common + ['type' => "value-$relation"];
        }
    }
}

function tests() {
    foreach (comparisons() as $how) {
        yield $how + ['test' => 'header', 'arg1' => ['subject'], 'arg2' => ['x"y\\z', 'però']];
        yield $how + ['test' => 'header', 'arg1' => ['subject', 'X-Protocollo'], 'arg2' => '1'];
        foreach (PARTS as $part) {
            yield $how + ['test' => 'address', 'part' => $part, 'arg1' => ['from', 'cc'], 'arg2' => 'anna@alfa.example'];
            yield $how + ['test' => 'envelope', 'part' => $part, 'arg1' => ['from'], 'arg2' => 'anna'];
            yield $how + ['test' => 'envelope', 'part' => $part, 'arg1' => ['to'], 'arg2' => ['anna', 'bruno']];
        }
        foreach (DATES as $part) {
            yield $how + ['test' => 'currentdate', 'part' => $part, 'arg' => '2026'];
            yield $how + ['test' => 'currentdate', 'part' => $part, 'arg' => '2026', 'zone' => '+0100'];
            yield $how + ['test' => 'date', 'part' => $part, 'arg' => ['2026', '2027'], 'header' => 'date'];
            yield $how + ['test' => 'date', 'part' => $part, 'arg' => '1', 'header' => 'received', 'originalzone' => true];
        }
    }
    foreach ([false, true] as $not) {
        yield ['test' => 'exists', 'not' => $not, 'arg' => ['subject', 'X-Protocollo']];
        yield ['test' => 'true', 'not' => $not];
        foreach (['1', '1K', '1M', '1G'] as $size) {
            yield ['test' => 'size', 'not' => $not, 'type' => 'over', 'arg' => $size];
            yield ['test' => 'size', 'not' => $not, 'type' => 'under', 'arg' => $size];
        }
    }
}

function actions() {
    foreach ([false, true] as $copy) {
        foreach (['INBOX', 'Ricevute', 'Lavoro/Perizie', 'Però "così"'] as $folder) {
            yield ['type' => 'fileinto', 'copy' => $copy, 'target' => $folder];
        }
        yield ['type' => 'redirect', 'copy' => $copy, 'target' => 'anna@mail.example'];
    }
    foreach (['addflag', 'setflag', 'removeflag'] as $act) {
        foreach (['\\Seen', '\\Answered', '\\Flagged', '\\Deleted', '\\Draft', '$label1', 'mio'] as $flag) {
            yield ['type' => $act, 'target' => $flag];
        }
        yield ['type' => $act, 'target' => ['\\Seen', '\\Flagged']];
    }
    foreach (['keep', 'stop', 'discard'] as $act) {
        yield ['type' => $act];
    }
    $notify = ['type' => 'notify', 'method' => 'mailto:anna@mail.example', 'options' => []];
    yield $notify;
    yield $notify + ['importance' => 1, 'from' => 'anna@alfa.example', 'message' => 'ciao "anna"'];
    yield $notify + ['importance' => 3, 'message' => "riga\r\n.punto"];
}

function script($extensions, $rule) {
    $script = new rcube_sieve_script('', $extensions);
    $script->add_rule($rule + ['name' => 'però [1]', 'join' => true]);
    return $script->as_text();
}

$extensions = array_slice($argv, 2);
$scripts = [];
foreach ([false, true] as $disabled) {
    foreach (tests() as $test) {
        $scripts[] = script($extensions, ['disabled' => $disabled, 'tests' => [$test], 'actions' => [['type' => 'keep']]]);
    }
    foreach (actions() as $action) {
        $scripts[] = script($extensions, ['disabled' => $disabled, 'tests' => [['test' => 'true']], 'actions' => [$action]]);
    }
    $two = [['test' => 'size', 'type' => 'over', 'arg' => '1M'], ['test' => 'exists', 'arg' => 'subject']];
    $both = [['type' => 'keep'], ['type' => 'stop']];
    $scripts[] = script($extensions, ['disabled' => $disabled, 'tests' => $two, 'actions' => $both]);
    $scripts[] = script($extensions, ['disabled' => $disabled, 'join' => false, 'tests' => $two, 'actions' => $both]);
}
echo json_encode($scripts);
