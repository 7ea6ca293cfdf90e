// Compile the contract to standard output, with fixed settings: node compile.cjs [--exact]
// Without an option: the file MedsealLedger.json. With --exact: input and output of the compiler for
// a build without optimizer, in which each instruction has its place in the sources; for analysis.
"use strict";

const fs = require("node:fs");
const path = require("node:path");
const solc = require("solc");

const here = __dirname;
const names = ["AccessPolicy.sol", "AnchorRegistry.sol", "MedsealLedger.sol"];
const isExact = process.argv[2] === "--exact";

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
      "*": isExact
        ? { "": ["ast"], "*": ["abi", "devdoc", "userdoc", "evm.bytecode", "evm.deployedBytecode"] }
        : { MedsealLedger: ["abi", "evm.bytecode", "evm.deployedBytecode", "metadata"] },
    },
  },
};

// A file of OpenZeppelin, from the installed package.
const imported = {};
function findImports(name) {
  const content = fs.readFileSync(require.resolve(name), "utf8");
  imported[name] = { content };
  return { contents: content };
}

const output = JSON.parse(solc.compile(JSON.stringify(input), { import: findImports }));
const problems = output.errors || [];
for (const problem of problems) {
  process.stderr.write(problem.formattedMessage + "\n");
}
if (problems.length) {
  process.exit(1);
}
if (isExact) {
  Object.assign(input.sources, imported);
  process.stdout.write(JSON.stringify({ version: solc.version(), input, output }) + "\n");
  return;
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
process.stdout.write(JSON.stringify(artifact, null, 1) + "\n");
