// Compile the contract to standard output, with fixed settings: node compile.cjs [--exact]
// Without an option: the file MedsealLedger.json. With --exact: a build without optimizer, in which
// each instruction has its place in the sources, with the syntax trees; for tests and analysis.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const solc = require("solc");

const here = __dirname;
const names = ["AccessPolicy.sol", "AnchorRegistry.sol", "MedsealLedger.sol"];
const isExact = process.argv[2] === "--exact";

// A file of OpenZeppelin, from the installed package.
function findImports(name) {
  return { contents: fs.readFileSync(require.resolve(name), "utf8") };
}

const input = {
  language: "Solidity",
  sources: Object.fromEntries(
    names.map((name) => [name, { content: fs.readFileSync(path.join(here, name), "utf8") }]),
  ),
  settings: {
    // Shanghai: the newest rules that every supported node knows, down to Ganache.
    evmVersion: "shanghai",
    optimizer: isExact ? { enabled: false } : { enabled: true, runs: 10000 },
    viaIR: !isExact,
    metadata: { bytecodeHash: "ipfs" },
    outputSelection: {
      "*": { "": isExact ? ["ast"] : [] },
      "MedsealLedger.sol": {
        MedsealLedger: ["abi", "evm.bytecode", "evm.deployedBytecode", "metadata"],
      },
    },
  },
};

const output = JSON.parse(solc.compile(JSON.stringify(input), { import: findImports }));
const problems = output.errors || [];
for (const problem of problems) {
  process.stderr.write(problem.formattedMessage + "\n");
}
if (problems.length) {
  process.exit(1);
}
const contract = output.contracts["MedsealLedger.sol"].MedsealLedger;
const artifact = {
  name: "MedsealLedger",
  compiler: solc.version(),
  abi: contract.abi,
  bytecode: "0x" + contract.evm.bytecode.object,
  deployedBytecode: "0x" + contract.evm.deployedBytecode.object,
  metadata: contract.metadata,
};
if (isExact) {
  artifact.sourceMap = contract.evm.bytecode.sourceMap;
  artifact.deployedSourceMap = contract.evm.deployedBytecode.sourceMap;
  artifact.sources = output.sources;
}
process.stdout.write(JSON.stringify(artifact, null, isExact ? 0 : 1) + "\n");
